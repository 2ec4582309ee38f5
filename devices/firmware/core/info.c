/* The lines are made anew for each piece, and only the piece is kept: there is no buffer for all of them. */
#include "core/info.h"

#include <stddef.h>

#include "core/say.h"
#include "core/slots.h"
#include "engine/engine.h"
#include "frame/frame.h"
#include "port/port.h"

#ifndef EDGEPIPE_BUILD
#error "EDGEPIPE_BUILD names the sources that this is made of: -DEDGEPIPE_BUILD=\"...\""
#endif

#define PROTOCOL 1u

/* The piece of the lines that is wanted. */
static struct {
    uint8_t *to;
    uint32_t first, end, position;
} piece;

static void keep(const uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++, piece.position++) {
        if (piece.position >= piece.first && piece.position < piece.end) {
            piece.to[piece.position - piece.first] = bytes[i];
        }
    }
}

static void say_pair(const char *key, const char *value)
{
    say_words(keep, key);
    say_words(keep, " ");
    say_words(keep, value);
    say_words(keep, "\n");
}

static void say_count(const char *key, uint32_t value)
{
    say_words(keep, key);
    say_words(keep, " ");
    say_number(keep, value);
    say_words(keep, "\n");
}

static void say_operators(void)
{
    const engine_operator *operator;
    for (uint32_t i = 0; (operator = engine_operator_at(i)) != NULL; i++) {
        say_words(keep, "operator ");
        say_number(keep, operator->builtin);
        say_words(keep, " ");
        say_words(keep, operator->name);
        say_words(keep, " ");
        say_number(keep, operator->first_version);
        say_words(keep, " ");
        say_number(keep, operator->last_version);
        say_words(keep, "\n");
    }
}

uint32_t info_read(uint32_t offset, uint8_t *to, uint32_t room)
{
    piece.to = to;
    piece.first = offset;
    piece.end = offset > UINT32_MAX - room ? UINT32_MAX : offset + room;
    piece.position = 0;
    say_count("protocol", PROTOCOL);
    say_pair("board", PORT_FACTS.board);
    say_pair("cpu", PORT_FACTS.cpu);
    say_pair("serial", PORT_FACTS.serial);
    say_pair("build", EDGEPIPE_BUILD);
    say_pair("engine", engine_name());
    say_count("emulated", PORT_FACTS.emulated ? 1u : 0u);
    say_count("clock_hz", PORT_FACTS.clock_hz);
    say_count("window_bytes", PORT_FACTS.window_bytes);
    say_count("payload_bytes", FRAME_PAYLOAD_BYTES_MAX);
    say_count("model_bytes", PORT_MEMORY.model_bytes);
    say_count("arena_bytes", PORT_MEMORY.arena_bytes);
    say_count("slot_bytes", slots_capacity());
    say_operators();
    uint32_t end = piece.position < piece.end ? piece.position : piece.end;
    return end > offset ? end - offset : 0u;
}
