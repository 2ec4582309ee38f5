/* The host as a board: the line is standard input and output. SIGUSR1 is its reset button, SIGUSR2 a power cut. */
#define _GNU_SOURCE
#include "port/port.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "port/host_flash/host_flash.h"
#include "port/host_marker/host_marker.h"

#define MODEL_BYTES (1u << 20)
#define ARENA_BYTES (1u << 18)
#define SAMPLES_BYTES (1u << 15)
#define LINE_BYTES 4096u
#define KEPT "EDGEPIPE_KEPT_MEMORY" /* the descriptor of what a reset keeps */
#define KEPT_DESCRIPTOR 100
#define NS_PER_S 1000000000u

static PORT_KEPT _Alignas(16) uint8_t model[MODEL_BYTES];
static _Alignas(16) uint8_t arena[ARENA_BYTES];
static uint8_t samples[SAMPLES_BYTES], outgoing[LINE_BYTES], incoming[LINE_BYTES];
static uint32_t outgoing_count, incoming_first, incoming_end;
static uint64_t started_at, opened_at;

extern uint8_t __start_noinit[], __stop_noinit[]; /* the linker's names for the bounds of what is PORT_KEPT */

#ifndef HOST_NAMES /* tests have boards of other names */
#define HOST_NAMES .board = "host", .cpu = "host", .serial = "host"
#endif
const struct port_facts PORT_FACTS = {HOST_NAMES, .clock_hz = NS_PER_S, .window_bytes = 2u * LINE_BYTES, .emulated = true};
const struct port_memory PORT_MEMORY = {model, MODEL_BYTES, arena, ARENA_BYTES, samples, SAMPLES_BYTES};

/* Write all bytes, or end: there is nobody on the other side. */
static void put_all(int to, const uint8_t *bytes, size_t count)
{
    while (count != 0u) {
        const ssize_t written = write(to, bytes, count);
        if (written < 0 && errno != EINTR) {
            _exit(1);
        }
        bytes += written > 0 ? written : 0;
        count -= written > 0 ? (size_t)written : 0u;
    }
}

/* Keep what a reset keeps, and become a new process. Calls only what a signal handler may call. */
_Noreturn static void start_anew(int reason)
{
    static char name[] = "edgepipe-host", kept[] = KEPT "=1";
    static char *arguments[] = {name, NULL}, *environment[] = {kept, NULL};
    if (reason != SIGUSR2 && lseek(KEPT_DESCRIPTOR, 0, SEEK_SET) == 0) {
        put_all(KEPT_DESCRIPTOR, __start_noinit, (size_t)(__stop_noinit - __start_noinit));
    } else {
        (void)ftruncate(KEPT_DESCRIPTOR, 0);
    }
    execve("/proc/self/exe", arguments, environment);
    _exit(1);
}

/* Take over what the process before this one kept; the first one has nothing. */
static void remember(void)
{
    if (getenv(KEPT) == NULL) {
        (void)dup2(memfd_create("kept", 0), KEPT_DESCRIPTOR);
        return;
    }
    (void)lseek(KEPT_DESCRIPTOR, 0, SEEK_SET);
    for (uint8_t *to = __start_noinit; to < __stop_noinit;) {
        const ssize_t count = read(KEPT_DESCRIPTOR, to, (size_t)(__stop_noinit - to));
        to = count > 0 ? to + count : __stop_noinit;
    }
}

uint64_t port_ticks(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec - started_at;
}

void port_begin(void)
{
    struct sigaction action = {.sa_handler = start_anew};
    sigset_t none;
    host_flash_begin(getenv(KEPT) == NULL);
    remember();
    started_at = port_ticks();
    sigemptyset(&none);
    sigfillset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    sigprocmask(SIG_SETMASK, &none, NULL); /* until here, what is pressed waits: a handler's mask outlives execve() */
}

static void flush(void)
{
    put_all(STDOUT_FILENO, outgoing, outgoing_count);
    outgoing_count = 0;
}

uint8_t port_read(void)
{
    if (incoming_first == incoming_end) {
        flush();
        const ssize_t count = read(STDIN_FILENO, incoming, sizeof incoming); /* no handler returns to interrupt it */
        if (count <= 0) {
            exit(0);
        }
        incoming_first = 0;
        incoming_end = (uint32_t)count;
    }
    return incoming[incoming_first++];
}

void port_write(const uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (outgoing_count == LINE_BYTES) {
            flush();
        }
        outgoing[outgoing_count++] = bytes[i];
    }
}

void port_window_open(void)
{
    flush();
    opened_at = port_ticks();
}

uint32_t port_window_ticks(void *unused) { (void)unused; return (uint32_t)((port_ticks() - opened_at) & UINT32_MAX); }

uint64_t port_window_close(void) { return port_ticks() - opened_at; }

void port_mark(bool up) { flush(); host_marker_show(up); }

_Noreturn void port_reset(void)
{
    flush();
    start_anew(0);
}
