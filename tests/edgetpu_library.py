"""Libraries in libedgetpu's place, built from a few lines each: one that works, and those that fail as the real one does."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

COMPILER = shutil.which("g++") or shutil.which("c++")
NAME = "libedgetpu.so.1"
# The part of TensorFlow Lite's C interface that a delegate needs, as in tensorflow/lite/core/c/common.h and
# tensorflow/lite/delegates/external/external_delegate_interface.h; what comes later in a struct is left out where only the runtime
# makes it, and is room where it is made here.
WORKING = r"""
#include <cstdint>
#include <cstring>
struct Array { int size; int data[]; };
struct Tensor {
  int type;
  char* data;
  Array* dims;
  struct { float scale; int32_t zero; } params;
  int allocation;
  size_t bytes;
  const void* mapped;
  const char* name;
  void* delegate;
  int buffer;
  bool stale, variable;
  struct { int type; void* params; } quantization;
  void* sparsity;
  const Array* signature;
};
struct Node { Array* inputs; Array* outputs; };
struct Context;
struct Kernel {
  void* (*init)(Context*, const char*, size_t);
  void (*free)(Context*, void*);
  int (*prepare)(Context*, Node*);
  int (*invoke)(Context*, Node*);
  const char* (*profiling)(const Context*, const Node*);
  int32_t builtin;
  const char* name;
  int version;
  void* room[8];
};
struct Delegate;
struct Context {
  size_t tensors_size;
  int (*plan)(Context*, Array**);
  Tensor* tensors;
  void* impl;
  int (*resize)(Context*, Tensor*, Array*);
  void (*report)(Context*, const char*, ...);
  int (*add)(Context*, int, int*);
  int (*node)(Context*, int, Node**, Kernel**);
  int (*replace)(Context*, Kernel, const Array*, Delegate*);
};
struct Delegate { void* data; int (*prepare)(Context*, Delegate*); void* buffers[3]; int64_t flags; void* room[4]; };

// What the "Edge TPU" computes: each byte and one.
static int invoke(Context* context, Node* node) {
  const Tensor& in = context->tensors[node->inputs->data[0]];
  const Tensor& out = context->tensors[node->outputs->data[0]];
  FAULT
  for (size_t i = 0; i < out.bytes; ++i) out.data[i] = in.data[i % in.bytes] + 1;
  return 0;
}
static int fine(Context*, Node*) { return 0; }
const int64_t DYNAMIC = 1;  // what the delegate takes need not be prepared by others first
static void* init(Context*, const char*, size_t) { return nullptr; }
static void release(Context*, void*) {}
static int prepare(Context* context, Delegate* delegate) {
  Array* plan;
  if (context->plan(context, &plan)) return 1;
  Array* mine = static_cast<Array*>(operator new(sizeof(int) * (plan->size + 1)));
  mine->size = 0;
  for (int i = 0; i < plan->size; ++i) {
    Node* node;
    Kernel* kernel;
    if (context->node(context, plan->data[i], &node, &kernel)) return 1;
    if (kernel->name && !strcmp(kernel->name, "edgetpu-custom-op")) mine->data[mine->size++] = plan->data[i];
  }
  Kernel kernel = {init, release, fine, invoke, nullptr, 0, "stand-in", 1, {}};
  const int done = context->replace(context, kernel, mine, delegate);
  operator delete(mine);
  return done;
}
extern "C" Delegate* tflite_plugin_create_delegate(char**, char**, size_t, void (*)(const char*)) {
  return new Delegate{nullptr, prepare, {}, DYNAMIC, {}};
}
extern "C" void tflite_plugin_destroy_delegate(Delegate* delegate) { delete delegate; }
"""
CREATES = r"""
#include <csignal>
#include <unistd.h>
extern "C" void* tflite_plugin_create_delegate(char**, char**, size_t, void (*report)(const char*)) {{ {} }}
extern "C" void tflite_plugin_destroy_delegate(void*) {{}}
"""
SOURCES = {
    "works": WORKING.replace("FAULT", ""),
    "crashes in the middle": WORKING.replace("FAULT", "*static_cast<volatile char*>(nullptr) = 1;"),
    "hangs in the middle": WORKING.replace("FAULT", "for (volatile bool ever = true; ever;) {}"),
    "fails": CREATES.format('report("Failed to open device /dev/apex_0"); return nullptr;'),
    "fails without a word": CREATES.format("return nullptr;"),
    "hangs": CREATES.format("for (;;) pause();"),
    "crashes": CREATES.format("raise(SIGSEGV); return nullptr;"),
    "gives up": CREATES.format("_exit(3);"),
    "is another library": "",
}


def build(kind: str, folder: Path) -> Path:
    """Build the library of a kind and return its folder, which goes into LD_LIBRARY_PATH."""
    if COMPILER is None:
        pytest.skip("there is no C++ compiler; on Debian: apt-get install g++")
    place = folder / kind.replace(" ", "-")
    place.mkdir(parents=True)
    command = [COMPILER, "-shared", "-fPIC", "-O1", "-x", "c++", "-", "-o", str(place / NAME)]
    subprocess.run(command, input=SOURCES[kind].encode(), check=True)
    return place
