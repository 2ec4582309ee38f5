/* What the firmware's port uses of the Pico SDK 2.x, declared as its documentation does. */
#ifndef STAND_IN_SDK_H
#define STAND_IN_SDK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef unsigned int uint;

#define XIP_BASE 0x10000000u
#define FLASH_PAGE_SIZE (1u << 8)
#define FLASH_SECTOR_SIZE (1u << 12)
#define PICO_UNIQUE_BOARD_ID_SIZE_BYTES 8

typedef struct stdio_driver {
    bool crlf_enabled;
} stdio_driver_t;

extern stdio_driver_t stdio_usb;

bool set_sys_clock_khz(uint32_t freq_khz, bool required);
void flash_range_erase(uint32_t flash_offs, size_t count);
void flash_range_program(uint32_t flash_offs, const uint8_t *data, size_t count);
void gpio_init(uint gpio);
void gpio_set_dir(uint gpio, bool out);
void gpio_put(uint gpio, bool value);
uint32_t save_and_disable_interrupts(void);
void restore_interrupts(uint32_t status);
void watchdog_reboot(uint32_t pc, uint32_t sp, uint32_t delay_ms);
int getchar_timeout_us(uint32_t timeout_us);
int putchar_raw(int c);
void stdio_flush(void);
void stdio_set_translate_crlf(stdio_driver_t *driver, bool translate);
bool stdio_usb_init(void);
void pico_get_unique_board_id_string(char *id_out, uint len);

#endif
