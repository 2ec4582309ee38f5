/* Arm's MPS2 and MPS3 boards as QEMU emulates them: a CMSDK UART (Arm DDI 0479, 4.3) and SysTick.

   The line is polled, so that no interrupt but the wrap of SysTick ever occurs and every window repeats to the tick. */
#include "port/port.h"

#include <string.h>

#include "port/cortex_m/systick.h"

#define UART ((volatile uint32_t *)UART0_ADDRESS)
#define UART_DATA (UART[0])
#define UART_STATE (UART[1])
#define UART_CONTROL (UART[2])
#define UART_DIVIDER (UART[4])
#define STATE_SENDING_FULL 1u
#define STATE_RECEIVED 2u
#define CONTROL_BOTH_WAYS 3u
#define LEAST_DIVIDER 16u /* the emulated line takes bytes as they come */

#define AIRCR (*(volatile uint32_t *)0xE000ED0Cu) /* ARM DDI 0403E, B3.2.6 */
#define AIRCR_RESET 0x05FA0004u

#define MARKER (*(volatile uint32_t *)FPGAIO_ADDRESS) /* the first user LED: QEMU 7.2, hw/misc/mps2-fpgaio.c */
#define MARKER_UP 1u

#define MODEL_BYTES (1u << 20)
#define ARENA_BYTES (1u << 18)
#define SAMPLES_BYTES (1u << 15)

static PORT_KEPT _Alignas(16) uint8_t model[MODEL_BYTES];
static PORT_KEPT _Alignas(16) uint8_t arena[ARENA_BYTES];
static PORT_KEPT uint8_t samples[SAMPLES_BYTES];

const struct port_facts PORT_FACTS = {
    .board = BOARD_NAME, .cpu = CPU_NAME, .serial = "qemu", .clock_hz = CLOCK_HZ, .window_bytes = 8192, .emulated = true};
const struct port_memory PORT_MEMORY = {model, MODEL_BYTES, arena, ARENA_BYTES, samples, SAMPLES_BYTES};

/* The board's large memory stands for flash: nothing else uses it, and QEMU can keep it in a file. */
#define FLASH ((uint8_t *)FLASH_ADDRESS)
#define FLASH_BYTES (2u * (MODEL_BYTES + SECTOR_BYTES))
#define SECTOR_BYTES 4096u
#define UNIT_BYTES 8u
#define ERASED 0xFF

static bool erase(uint32_t offset)
{
    memset(FLASH + offset, ERASED, SECTOR_BYTES);
    return true;
}

/* Clears bits, as flash does. */
static bool program(uint32_t offset, const uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        FLASH[offset + i] &= bytes[i];
    }
    return true;
}

const struct port_flash PORT_FLASH = {
    .base = FLASH, .bytes = FLASH_BYTES, .sector_bytes = SECTOR_BYTES, .unit_bytes = UNIT_BYTES, .erase = erase, .program = program};

void port_begin(void)
{
    UART_DIVIDER = LEAST_DIVIDER;
    UART_CONTROL = CONTROL_BOTH_WAYS;
    systick_begin();
}

uint8_t port_read(void)
{
    while ((UART_STATE & STATE_RECEIVED) == 0u) {
    }
    return (uint8_t)(UART_DATA & 0xFFu);
}

void port_write(const uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        while ((UART_STATE & STATE_SENDING_FULL) != 0u) {
        }
        UART_DATA = bytes[i];
    }
}

uint64_t port_ticks(void)
{
    return systick_ticks();
}

void port_window_open(void)
{
    MARKER = MARKER_UP;
    systick_clear();
}

uint32_t port_window_ticks(void *unused)
{
    (void)unused;
    return (uint32_t)(systick_since_clear() & UINT32_MAX);
}

uint64_t port_window_close(void)
{
    const uint64_t ticks = systick_since_clear();
    MARKER = 0;
    return ticks;
}

void port_mark(bool up)
{
    MARKER = up ? MARKER_UP : 0;
}

_Noreturn void port_reset(void)
{
    __asm volatile("dsb");
    AIRCR = AIRCR_RESET;
    for (;;) {
    }
}
