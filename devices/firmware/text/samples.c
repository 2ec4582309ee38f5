/* The bytes stand in the port's memory for them; those that did not come yet are what was there before. */
#include "text/samples.h"

#include <stdbool.h>
#include <string.h>

#include "core/say.h"
#include "port/port.h"

#define BYTES_A_LINE 8u

static uint32_t expected_bytes;
static uint32_t loaded_bytes;

static void say(const char *words)
{
    say_words(port_write, words);
}

void samples_expect(int32_t count)
{
    if (count <= 0) {
        say("e-[Command 'db load' must be >0 bytes]\r\n");
    } else if ((uint32_t)count > PORT_MEMORY.samples_bytes) {
        say("e-[Command 'db load' must be <=");
        say_number(port_write, PORT_MEMORY.samples_bytes);
        say(" bytes]\r\n");
    } else {
        expected_bytes = (uint32_t)count;
        loaded_bytes = 0;
        memset(PORT_MEMORY.samples, 0, expected_bytes);
        say("m-[Expecting ");
        say_number(port_write, expected_bytes);
        say(" bytes]\r\n");
    }
}

/* Return the value of a digit, 16 for none. */
static uint8_t digit_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return (uint8_t)(digit - '0');
    }
    if (digit >= 'a' && digit <= 'f') {
        return (uint8_t)(digit - 'a' + 10);
    }
    return digit >= 'A' && digit <= 'F' ? (uint8_t)(digit - 'A' + 10) : 16u;
}

void samples_add(const char *digits)
{
    if (strlen(digits) % 2u != 0u) {
        say("e-[Insufficent number of hex digits]\r\n");
        return;
    }
    for (; *digits != '\0'; digits += 2) {
        const uint8_t high = digit_value(digits[0]);
        const uint8_t low = digit_value(digits[1]);
        if (high > 15u || low > 15u) {
            const char shown[3] = {digits[0], digits[1], '\0'};
            say("e-[Invalid hex digit '");
            say(shown);
            say("']\r\n");
            return;
        }
        if (loaded_bytes == expected_bytes) {
            continue;
        }
        PORT_MEMORY.samples[loaded_bytes++] = (uint8_t)(high << 4 | low);
        if (loaded_bytes == expected_bytes) {
            say("m-load-done\r\n");
            return; /* as the reference does: the rest of the digits is not even looked at */
        }
    }
}

void samples_print(void)
{
    for (uint32_t i = 0; i < expected_bytes; i++) {
        const bool is_last = (i + 1u) % BYTES_A_LINE == 0u || i + 1u == expected_bytes;
        if (i % BYTES_A_LINE == 0u) {
            say("m-buffer-");
        }
        say_hex(port_write, PORT_MEMORY.samples[i]);
        say(is_last ? "\r\n" : "-");
    }
    if (expected_bytes % BYTES_A_LINE != 0u) {
        say("\r\n");
    }
}

uint32_t samples_count(void)
{
    return loaded_bytes == expected_bytes ? loaded_bytes : 0u;
}
