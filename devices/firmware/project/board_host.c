/* This machine. */
#include <stdio.h>
#include <stdlib.h>

#include "board.h"

void board_say(const char *text) {
    (void)fputs(text, stdout);
}

_Noreturn void board_end(int code) {
    exit(code);
}
