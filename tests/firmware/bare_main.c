/* A program with one model in it and nothing else: answers the rows of rows.h and says how many ticks each took.
 *
 * With STANDALONE the model is exported C, with INTERPRETER or TRIMMED the engine loads model.h into an arena; with none of them
 * there is no model, which tells what the rest of the program takes.
 */
#include <string.h>

#include "port/port.h"
#include "rows.h"

#if defined(STANDALONE)
#include "net.h"
#elif defined(INTERPRETER) || defined(TRIMMED)
#define LOADED
#include "engine/engine.h"
#include "model.h"
static _Alignas(16) uint8_t arena[ARENA_BYTES];
static engine *loaded;
#endif

static void load(void) {
#ifdef LOADED
    engine_error why;
    const engine_clock none = {NULL, NULL};
    loaded = engine_load(MODEL, sizeof MODEL, arena, sizeof arena, none, &why);
#endif
}

static void give(const int8_t *row) {
#if defined(STANDALONE)
    memcpy(net_input(0), row, ROW_BYTES);
#elif defined(LOADED)
    memcpy(engine_input(loaded, 0).data, row, ROW_BYTES);
#else
    (void)row;
#endif
}

static void invoke(void) {
#if defined(STANDALONE)
    net_invoke();
#elif defined(LOADED)
    engine_invoke(loaded);
#endif
}

static const uint8_t *output(void) {
#if defined(STANDALONE)
    return (const uint8_t *)net_output(0);
#elif defined(LOADED)
    return engine_output(loaded, 0).data;
#else
    return (const uint8_t *)ROWS_OF_INPUTS[0];
#endif
}

static void say_hex(uint64_t value, uint32_t digits) {
    for (uint32_t left = digits; left > 0; left--) {
        uint8_t digit = (uint8_t)"0123456789abcdef"[value >> (4 * left - 4) & 15];
        port_write(&digit, 1);
    }
}

int main(void) {
    port_begin();
    load();
    for (uint32_t row = 0; row < ROWS; row++) {
        give(ROWS_OF_INPUTS[row]);
        port_window_open();
        invoke();
        uint64_t ticks = port_window_close();
        say_hex(ticks, 16);
        port_write((const uint8_t *)" ", 1);
        for (uint32_t at = 0; at < OUTPUT_BYTES; at++) say_hex(output()[at], 2);
        port_write((const uint8_t *)"\n", 1);
    }
    port_write((const uint8_t *)"end\n", 4);
    for (;;) {
    }
}
