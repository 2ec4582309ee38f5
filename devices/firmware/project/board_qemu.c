/* A Cortex-M that QEMU emulates: semihosting carries text and the program's end to this machine (Arm, "Semihosting for AArch32 and
 * AArch64", release 2.0: the operation in r0, its argument in r1, then BKPT 0xAB). */
#include <stdint.h>

#include "board.h"

enum { SYS_WRITE0 = 0x04, SYS_EXIT_EXTENDED = 0x20 };
#define APPLICATION_EXIT 0x20026u

static void ask(uint32_t operation, const void *argument) {
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

void board_say(const char *text) {
    ask(SYS_WRITE0, text);
}

_Noreturn void board_end(int code) {
    const uint32_t reason[2] = {APPLICATION_EXIT, (uint32_t)code};
    ask(SYS_EXIT_EXTENDED, reason);
    for (;;) {
    }
}
