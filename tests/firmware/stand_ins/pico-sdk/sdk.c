/* Does nothing: it is there to be linked with. */
#include "sdk.h"

stdio_driver_t stdio_usb;

bool set_sys_clock_khz(uint32_t freq_khz, bool required) { return freq_khz != 0u && required; }
void flash_range_erase(uint32_t flash_offs, size_t count) { (void)flash_offs, (void)count; }
void flash_range_program(uint32_t flash_offs, const uint8_t *data, size_t count) { (void)flash_offs, (void)data, (void)count; }
void gpio_init(uint gpio) { (void)gpio; }
void gpio_set_dir(uint gpio, bool out) { (void)gpio, (void)out; }
void gpio_put(uint gpio, bool value) { (void)gpio, (void)value; }
uint32_t save_and_disable_interrupts(void) { return 0; }
void restore_interrupts(uint32_t status) { (void)status; }
void watchdog_reboot(uint32_t pc, uint32_t sp, uint32_t delay_ms) { (void)pc, (void)sp, (void)delay_ms; }
int getchar_timeout_us(uint32_t timeout_us) { return timeout_us == 0u ? 0 : -1; }
int putchar_raw(int c) { return c; }
void stdio_flush(void) {}
void stdio_set_translate_crlf(stdio_driver_t *driver, bool translate) { driver->crlf_enabled = translate; }
bool stdio_usb_init(void) { return true; }
void pico_get_unique_board_id_string(char *id_out, uint len) { id_out[len - 1u] = '\0'; }
