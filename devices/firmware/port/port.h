/* What a board must offer to the firmware: a line, a clock, memory, and a marked window to measure in.

   A port is one folder, under 150 lines: nothing here waits for anything but the line's next byte, and nothing has a deadline,
   which is the host's affair. A watchdog, where there is one, is the port's own and is fed in port_read(). */
#ifndef EDGEPIPE_PORT_H
#define EDGEPIPE_PORT_H

#include <stdbool.h>
#include <stdint.h>

/* What stays as it is when the board is reset, where its memory does. An SDK may have another name for it. */
#ifndef PORT_KEPT
#define PORT_KEPT __attribute__((section("noinit")))
#endif

struct port_facts {
    const char *board;     /* the name of the board or the machine */
    const char *cpu;
    const char *serial;    /* what tells it from its sisters */
    uint32_t clock_hz;     /* of the ticks below */
    uint32_t window_bytes; /* what the line may bring while nobody reads it */
    bool emulated;
};

struct port_memory {
    uint8_t *model; /* starts at a multiple of 16 */
    uint32_t model_bytes;
    uint8_t *arena; /* starts at a multiple of 16 */
    uint32_t arena_bytes;
    uint8_t *samples; /* what the text protocol loads */
    uint32_t samples_bytes;
};

#define PORT_UNIT_BYTES_MAX 256u

/* Flash that keeps two models without power; all of it is the firmware's. A port without it says {0}.

   `erase` makes every byte of the sector at `offset` FF; `program` writes whole units, each once between two erasures. Both come
   back when it is done, and say whether the flash took it. Offsets count from `base`. A cut of power may leave either undone,
   done, or anything between. */
struct port_flash {
    const uint8_t *base;   /* where it is read in place; starts at a sector, and at a multiple of 16 */
    uint32_t bytes;        /* an even number of sectors, at least four */
    uint32_t sector_bytes; /* a multiple of the unit, at least 2048 */
    uint32_t unit_bytes;   /* a power of two, at most PORT_UNIT_BYTES_MAX */
    bool (*erase)(uint32_t offset);
    bool (*program)(uint32_t offset, const uint8_t *bytes, uint32_t count);
};

extern const struct port_facts PORT_FACTS;
extern const struct port_memory PORT_MEMORY;
extern const struct port_flash PORT_FLASH;

/* Set up the line and the clock. */
void port_begin(void);

/* Return the line's next byte; waits for it. */
uint8_t port_read(void);

/* Write to the line; returns when the bytes are on their way. */
void port_write(const uint8_t *bytes, uint32_t count);

/* Ticks since the board started. */
uint64_t port_ticks(void);

/* Open the measured window: everything that could interrupt it is masked, the marker pin is raised where there is one, and last
   of all the clock and its wraps are cleared. Nothing reads the line until it is closed. */
void port_window_open(void);

/* Ticks since the window was opened, modulo 2^32. */
uint32_t port_window_ticks(void *unused);

/* Read the clock before anything else, lower the marker, and return the ticks of the window. */
uint64_t port_window_close(void);

/* Move the marker outside of any window, which only a firmware built for energy mode does. */
void port_mark(bool up);

/* Start anew, as the reset button does. Does not return. */
_Noreturn void port_reset(void);

#endif
