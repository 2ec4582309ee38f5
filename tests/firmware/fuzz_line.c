/* The whole firmware under libFuzzer: the input is what comes over the line, as it is or as the payloads of whole frames. */
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "frame/frame.h"
#include "port/port.h"

#define LINE_BYTES_MAX 65536u
#define KINDS 128u
#define SECTOR_BYTES 2048u
#define WINDOWS_MAX 20u
#define STEPS_MAX 2000u

static PORT_KEPT _Alignas(16) uint8_t model[4096];
static _Alignas(16) uint8_t arena[4096];
static uint8_t samples[256];
static _Alignas(16) uint8_t flash[6u * SECTOR_BYTES];
static uint8_t line[LINE_BYTES_MAX];
static uint32_t line_bytes, line_at, windows, steps;
static uint64_t ticks;
static jmp_buf line_is_over;

const struct port_facts PORT_FACTS = {"fuzz", "host", "fuzz", 1000000, 64, true};
const struct port_memory PORT_MEMORY = {model, sizeof model, arena, sizeof arena, samples, sizeof samples};

static bool erase(uint32_t offset)
{
    memset(flash + offset, 0xFF, SECTOR_BYTES);
    return true;
}

static bool program(uint32_t offset, const uint8_t *bytes, uint32_t count)
{
    memcpy(flash + offset, bytes, count);
    return true;
}

const struct port_flash PORT_FLASH = {
    .base = flash, .bytes = sizeof flash, .sector_bytes = SECTOR_BYTES, .unit_bytes = 8, .erase = erase, .program = program};

int firmware_main(void);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

void port_begin(void)
{
}

uint8_t port_read(void)
{
    if (line_at == line_bytes) {
        longjmp(line_is_over, 1);
    }
    return line[line_at++];
}

void port_write(const uint8_t *bytes, uint32_t count)
{
    static volatile uint8_t sink;
    for (uint32_t i = 0; i < count; i++) {
        sink = bytes[i];
    }
    (void)sink;
}

uint64_t port_ticks(void)
{
    return ticks++;
}

/* However many runs the line asks for, these are enough. */
void port_window_open(void)
{
    if (++windows == WINDOWS_MAX) {
        longjmp(line_is_over, 1);
    }
}

/* However many runs one window is asked for, so many operators are enough. */
uint32_t port_window_ticks(void *unused)
{
    (void)unused;
    if (++steps == STEPS_MAX) {
        longjmp(line_is_over, 1);
    }
    return (uint32_t)(ticks++);
}

uint64_t port_window_close(void)
{
    return ticks++;
}

void port_mark(bool up)
{
    (void)up;
}

_Noreturn void port_reset(void)
{
    longjmp(line_is_over, 1);
}

static void put_on_line(const uint8_t *bytes, uint32_t count)
{
    const uint32_t room = LINE_BYTES_MAX - line_bytes;
    const uint32_t kept = count < room ? count : room;
    memcpy(line + line_bytes, bytes, kept);
    line_bytes += kept;
}

/* Make frames of the input: for each a kind, a length, and a payload. */
static void put_frames(const uint8_t *data, size_t size)
{
    static struct frame_draft draft;
    size_t at = 0;
    for (uint16_t sequence = 0; at + 2u <= size; sequence++) {
        const uint8_t kind = data[at] % KINDS;
        size_t count = (size_t)data[at + 1] * 2u;
        at += 2u;
        count = count < size - at ? count : size - at;
        memcpy(draft.bytes + FRAME_HEAD_BYTES, data + at, count);
        frame_send(&draft, kind, (uint16_t)(sequence / 2u), (uint32_t)count, put_on_line);
        at += count;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    line_bytes = 0;
    line_at = 0;
    windows = 0;
    steps = 0;
    if (size > 0u && data[0] == 'F') {
        put_frames(data + 1, size - 1u);
    } else {
        put_on_line(data, (uint32_t)(size < LINE_BYTES_MAX ? size : LINE_BYTES_MAX));
    }
    if (setjmp(line_is_over) == 0) {
        (void)firmware_main();
    }
    return 0;
}
