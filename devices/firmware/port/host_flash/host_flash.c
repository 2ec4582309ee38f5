/* Behind the flash, the file holds a rig for tests: it counts operations, and cuts the power in one of them or refuses it. */
#define _GNU_SOURCE
#include "port/host_flash/host_flash.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "port/port.h"

#define SECTOR_BYTES 4096u
#define UNIT_BYTES PORT_UNIT_BYTES_MAX
#ifndef FLASH_BYTES /* 0: a board that keeps no models */
#define FLASH_BYTES (2u * ((1u << 20) + SECTOR_BYTES))
#endif
#define RIG_BYTES 4096u
#define FLASH_DESCRIPTOR 101
#define ERASED 0xFFu
#define SCATTER 2654435761u /* Knuth, The Art of Computer Programming 3, 6.4: spreads what follows one another */

/* How much of the operation is done when the power is cut; REFUSED leaves the power on. */
enum extent { NOTHING, FIRST_HALF, LAST_HALF, SCATTERED_BITS, ALL, REFUSED };

struct rig {
    uint32_t done;   /* operations since the file was made */
    uint32_t cut_at; /* the one that goes wrong; 0: none */
    uint32_t extent;
};

static _Alignas(SECTOR_BYTES) uint8_t flash[FLASH_BYTES + RIG_BYTES];

static uint8_t torn(uint8_t before, uint8_t after, uint32_t index, uint32_t count, uint32_t extent)
{
    const uint8_t mask = (uint8_t)(index * SCATTER >> 24);
    switch (extent) {
    case FIRST_HALF:
        return index < count / 2u ? after : before;
    case LAST_HALF:
        return index < count / 2u ? before : after;
    case SCATTERED_BITS:
        return (uint8_t)((before & mask) | (after & (uint8_t)~mask));
    case ALL:
        return after;
    default:
        return before;
    }
}

/* Do one operation: `bytes` are written, NULL erases. */
static bool operate(uint32_t offset, const uint8_t *bytes, uint32_t count)
{
    struct rig rig;
    memcpy(&rig, flash + FLASH_BYTES, sizeof rig);
    const bool is_cut = ++rig.done == rig.cut_at;
    memcpy(flash + FLASH_BYTES, &rig, sizeof rig);
    if (is_cut && rig.extent == (uint32_t)REFUSED) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *to = flash + offset + i;
        const uint8_t after = bytes != NULL ? (uint8_t)(*to & bytes[i]) : (uint8_t)ERASED;
        *to = torn(*to, after, i, count, is_cut ? rig.extent : (uint32_t)ALL);
    }
    if (is_cut) {
        _exit(1);
    }
    return true;
}

static bool erase(uint32_t offset)
{
    return operate(offset, NULL, SECTOR_BYTES);
}

/* Refuses what is not erased, as flash with a checksum for each unit does. */
static bool program(uint32_t offset, const uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (flash[offset + i] != ERASED) {
            return false;
        }
    }
    return operate(offset, bytes, count);
}

const struct port_flash PORT_FLASH = {
    .base = flash, .bytes = FLASH_BYTES, .sector_bytes = SECTOR_BYTES, .unit_bytes = UNIT_BYTES, .erase = erase, .program = program};

void host_flash_begin(bool is_first)
{
    if (is_first) {
        const char *path = getenv("EDGEPIPE_FLASH");
        const int file = path != NULL ? open(path, O_RDWR | O_CREAT, 0600) : memfd_create("flash", 0);
        (void)dup2(file, FLASH_DESCRIPTOR);
        (void)close(file);
    }
    if (ftruncate(FLASH_DESCRIPTOR, sizeof flash) != 0 ||
        mmap(flash, sizeof flash, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, FLASH_DESCRIPTOR, 0) != flash) {
        _exit(1);
    }
}
