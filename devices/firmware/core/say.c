/* Digits are made from the last to the first. */
#include "core/say.h"

#include <stdbool.h>
#include <string.h>

#define DIGITS_MAX 20u
#define LARGEST_SHOWN 4.0e9

void say_words(say_sink sink, const char *words)
{
    sink((const uint8_t *)words, (uint32_t)strlen(words));
}

void say_number(say_sink sink, uint64_t number)
{
    uint8_t digits[DIGITS_MAX];
    uint32_t first = DIGITS_MAX;
    do {
        digits[--first] = (uint8_t)('0' + number % 10u);
        number /= 10u;
    } while (number != 0u);
    sink(digits + first, DIGITS_MAX - first);
}

void say_hex(say_sink sink, uint8_t byte)
{
    static const char HEX[] = "0123456789abcdef";
    const uint8_t digits[2] = {(uint8_t)HEX[byte >> 4], (uint8_t)HEX[byte & 15u]};
    sink(digits, 2);
}

void say_decimals(say_sink sink, float number)
{
    if (number != number) {
        say_words(sink, "nan");
        return;
    }
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    bool negative = bits >> 31 != 0u;
    double size = negative ? -(double)number : (double)number;
    double thousandths = (size < LARGEST_SHOWN ? size : LARGEST_SHOWN) * 1000.0; /* exact: 24 bits times 10 bits */
    uint64_t whole = (uint64_t)thousandths;
    double rest = thousandths - (double)whole;
    if (rest > 0.5 || (rest == 0.5 && (whole & 1u) != 0u)) {
        whole++;
    }
    const uint8_t decimals[4] = {'.', (uint8_t)('0' + whole / 100u % 10u), (uint8_t)('0' + whole / 10u % 10u),
                                 (uint8_t)('0' + whole % 10u)};
    if (negative) {
        say_words(sink, "-");
    }
    say_number(sink, whole / 1000u);
    sink(decimals, 4);
}
