/* Raspberry Pi Pico, an RP2040 at 125 MHz, by the Pico SDK (raspberrypi/pico-sdk); the line is its USB. Never tried on a board. */
#include "port/port.h"

#include <string.h>

#include "hardware/clocks.h"
#include "hardware/flash.h"
#include "hardware/gpio.h"
#include "hardware/sync.h"
#include "hardware/watchdog.h"
#include "pico/stdio.h"
#include "pico/stdio_usb.h"
#include "pico/unique_id.h"
#include "port/cortex_m/systick.h"

#define CLOCK_HZ 125000000u
#define MARKER_PIN 22u
#define NVIC_ENABLE (*(volatile uint32_t *)0xE000E100u) /* ARM DDI 0419E, B3.4: of the 26 interrupts of an RP2040 */
#define NVIC_DISABLE (*(volatile uint32_t *)0xE000E180u)

#define MODEL_BYTES (128u << 10)
#define ARENA_BYTES (64u << 10)
#define SAMPLES_BYTES (16u << 10)
#define KEPT_OFFSET (1u << 20) /* the upper half of the Pico's flash */
#define KEPT_BYTES (1u << 20)

static PORT_KEPT _Alignas(16) uint8_t model[MODEL_BYTES];
static PORT_KEPT _Alignas(16) uint8_t arena[ARENA_BYTES];
static PORT_KEPT uint8_t samples[SAMPLES_BYTES];
static char serial[2 * PICO_UNIQUE_BOARD_ID_SIZE_BYTES + 1];
static uint32_t enabled;

/* USB holds back what is not read yet: the window only bounds what is under way. */
const struct port_facts PORT_FACTS = {.board = "raspberry-pi-pico", .cpu = "cortex-m0plus", .serial = serial,
                                      .clock_hz = CLOCK_HZ, .window_bytes = 4096, .emulated = false};
const struct port_memory PORT_MEMORY = {model, MODEL_BYTES, arena, ARENA_BYTES, samples, SAMPLES_BYTES};

/* Nothing may run from flash while it is written; the SDK's functions stand in RAM. */
static bool erase(uint32_t offset)
{
    const uint32_t state = save_and_disable_interrupts();
    flash_range_erase(KEPT_OFFSET + offset, FLASH_SECTOR_SIZE);
    restore_interrupts(state);
    return true;
}

static bool program(uint32_t offset, const uint8_t *bytes, uint32_t count)
{
    static uint8_t page[FLASH_PAGE_SIZE]; /* `bytes` may stand in flash itself */
    for (uint32_t i = 0; i < count; i += FLASH_PAGE_SIZE) {
        memcpy(page, bytes + i, sizeof page);
        const uint32_t state = save_and_disable_interrupts();
        flash_range_program(KEPT_OFFSET + offset + i, page, sizeof page);
        restore_interrupts(state);
    }
    return memcmp((const uint8_t *)XIP_BASE + KEPT_OFFSET + offset, bytes, count) == 0;
}

const struct port_flash PORT_FLASH = {.base = (const uint8_t *)(XIP_BASE + KEPT_OFFSET), .bytes = KEPT_BYTES,
                                      .sector_bytes = FLASH_SECTOR_SIZE, .unit_bytes = FLASH_PAGE_SIZE, .erase = erase,
                                      .program = program};

void systick_wrapped(void);
void isr_systick(void); /* the SDK's name for it */

void isr_systick(void)
{
    systick_wrapped();
}

void port_begin(void)
{
    (void)set_sys_clock_khz(CLOCK_HZ / 1000u, true);
    pico_get_unique_board_id_string(serial, sizeof serial); /* which its USB also shows as its serial number */
    (void)stdio_usb_init();
    stdio_set_translate_crlf(&stdio_usb, false);
    gpio_init(MARKER_PIN);
    gpio_set_dir(MARKER_PIN, true);
    systick_begin();
}

uint8_t port_read(void)
{
    int byte;
    do {
        byte = getchar_timeout_us(1000);
    } while (byte < 0);
    return (uint8_t)byte;
}

void port_write(const uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        (void)putchar_raw(bytes[i]);
    }
    stdio_flush();
}

uint64_t port_ticks(void)
{
    return systick_ticks();
}

/* USB and timers wait until the window is closed; SysTick's wraps are no interrupt of the NVIC and go on. */
void port_window_open(void)
{
    enabled = NVIC_ENABLE;
    NVIC_DISABLE = enabled;
    gpio_put(MARKER_PIN, true);
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
    gpio_put(MARKER_PIN, false);
    NVIC_ENABLE = enabled;
    return ticks;
}

void port_mark(bool up)
{
    gpio_put(MARKER_PIN, up);
}

_Noreturn void port_reset(void)
{
    stdio_flush();
    watchdog_reboot(0, 0, 0);
    for (;;) {
    }
}
