/* What the program needs of a board: somewhere to say how it went. On a board of your own, write to its serial line. */
#ifndef BOARD_H
#define BOARD_H

void board_say(const char *text);

/* The program is over: 0 where all went well. */
_Noreturn void board_end(int code);

#endif
