"""Runs every benchmark, one after another; each also runs on its own: python -m benchmarks.<name>."""

from __future__ import annotations

import subprocess
import sys

PARTS = (
    "startup",
    "digits_accuracy",
    "keyword_spotting",
    "demo_time",
    "agent_overhead",
    "mutated_models",
    "hostile_archives",
    "keras_bridge",
    "random_networks",
    "layer_table",
    "inspect_large",
    "second_count",
    "doctor_speed",
    "parity",
    "engine_exact",
    "engine_fuzz",
    "poisoned_layer",
    "technique_curves",
    "virtual_pi",
    "ssh_uploads",
    "ssh_evaluations",
    "ssh_identities",
    "ssh_hostile_names",
    "ssh_overhead",
    "ssh_throughput",
    "ssh_many_boards",
    "lock_races",
    "canary_secrets",
    "governor_kills",
    "deploy_crash_points",
    "deploy_crash_messages",
    "deploy_full_disk",
    "deploy_bad_models",
    "flash_resets",
    "serial_faults",
    "boot_noise",
    "swapped_ports",
    "serial_goodput",
    "line_fuzz",
    "exact_ticks",
    "bench_time",
    "emulated_cores",
    "emulated_random",
    "standalone_c",
    "synthetic_energy",
    "published_energy",
    "long_recording",
    "ppk2_decoder",
)

if __name__ == "__main__":
    failed = [part for part in PARTS if subprocess.run([sys.executable, "-m", f"benchmarks.{part}"], check=False).returncode]
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)
