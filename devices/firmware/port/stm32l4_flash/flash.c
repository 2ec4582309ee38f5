/* The upper half of the chip's flash keeps models (RM0432, embedded flash memory): bank 2, so that the firmware runs on in bank 1 meanwhile. */
#include "port/port.h"

#include <string.h>

#define FLASH(offset) (*(volatile uint32_t *)(0x40022000u + (offset))) /* ACR 00, KEYR 08, SR 10, CR 14, ECCR 18, OPTR 20 */
#define KEY_1 0x45670123u
#define KEY_2 0xCDEF89ABu
#define SR_BUSY (1u << 16)
#define SR_ERRORS 0xC3FAu
#define CR_PROGRAM 1u
#define CR_ERASE (1u << 1)
#define CR_BANK_2 (1u << 11)
#define CR_START (1u << 16)
#define CR_LOCK (1u << 31)
#define ECCR_BANK_2 (1u << 21)
#define ECCR_DETECTED (1u << 31) /* cleared by writing a 1 */
#define OPTR_TWO_BANKS (1u << 22)
#define ACR_DATA_CACHE (1u << 10)
#define ACR_DATA_CACHE_RESET (1u << 12)

#define BASE 0x08100000u
#define SECTOR_BYTES 4096u
#define UNIT_BYTES 8u

void damaged_read(void);

/* A unit in the middle of which power failed has no right checksum: reading it raises this. It is ended where models are kept, whose
   records and hashes then tell; damaged code is not run on. */
void damaged_read(void)
{
    while ((FLASH(0x18) & ECCR_BANK_2) == 0u) {
    }
    FLASH(0x18) = ECCR_DETECTED;
}

/* Forget errors of before and unlock; false for a chip whose option bytes make one bank of both: its sectors are others. */
static bool opened(void)
{
    if ((FLASH(0x20) & OPTR_TWO_BANKS) == 0u) {
        return false;
    }
    FLASH(0x10) = SR_ERRORS;
    FLASH(0x08) = KEY_1;
    FLASH(0x08) = KEY_2;
    return true;
}

/* Wait for what was begun; false where the flash did not do it. */
static bool done(void)
{
    while ((FLASH(0x10) & SR_BUSY) != 0u) {
    }
    return (FLASH(0x10) & SR_ERRORS) == 0u;
}

/* Lock, and drop what the data cache holds of what was there before. */
static void close(void)
{
    FLASH(0x14) = CR_LOCK;
    FLASH(0x00) &= ~ACR_DATA_CACHE;
    FLASH(0x00) |= ACR_DATA_CACHE_RESET;
    FLASH(0x00) &= ~ACR_DATA_CACHE_RESET;
    FLASH(0x00) |= ACR_DATA_CACHE;
}

static bool erase(uint32_t offset)
{
    if (!opened()) {
        return false;
    }
    FLASH(0x14) = CR_ERASE | CR_BANK_2 | (offset / SECTOR_BYTES << 3);
    FLASH(0x14) |= CR_START;
    const bool took_it = done();
    close();
    return took_it;
}

static bool program(uint32_t offset, const uint8_t *bytes, uint32_t count)
{
    if (!opened()) {
        return false;
    }
    bool took_it = true;
    FLASH(0x14) = CR_PROGRAM;
    for (uint32_t i = 0; i < count && took_it; i += UNIT_BYTES) {
        uint32_t words[2];
        memcpy(words, bytes + i, sizeof words);
        *(volatile uint32_t *)(BASE + offset + i) = words[0];
        *(volatile uint32_t *)(BASE + offset + i + 4u) = words[1];
        took_it = done();
    }
    close();
    return took_it;
}

const struct port_flash PORT_FLASH = {.base = (const uint8_t *)BASE, .bytes = 1u << 20, .sector_bytes = SECTOR_BYTES,
                                      .unit_bytes = UNIT_BYTES, .erase = erase, .program = program};
