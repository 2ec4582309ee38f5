/* From reset to main(), on every Cortex-M: the vector table, .data and .bss, the floating-point unit where there is one. */
#include <stdint.h>

#define CPACR (*(volatile uint32_t *)0xE000ED88u) /* ARM DDI 0403E, B3.2.20 */
#define FPU_FULL_ACCESS (0xFu << 20)

extern uint32_t stack_top[], data_source[], data_first[], data_end[], bss_first[], bss_end[];

int main(void);
void systick_wrapped(void);
void start(void);

void start(void)
{
#ifdef __ARM_FP
    CPACR |= FPU_FULL_ACCESS;
    __asm volatile("dsb\n\tisb");
#endif
    for (uint32_t *from = data_source, *to = data_first; to < data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *to = bss_first; to < bss_end;) {
        *to++ = 0;
    }
    (void)main();
    for (;;) {
    }
}

/* A fault is a bug: the board falls silent, and the host says so when its deadline is over. */
static void fall_silent(void)
{
    for (;;) {
    }
}

/* A port may take the non-maskable interrupt, with which some chips answer a read of damaged flash. */
void damaged_read(void);

__attribute__((weak)) void damaged_read(void)
{
    fall_silent();
}

typedef void (*handler)(void);

#define SYSTEM_VECTORS 16u

/* ARM DDI 0403E, B1.5.3: the stack, reset, then the exceptions 2 to 15, of which 15 is SysTick. */
__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    handler handlers[SYSTEM_VECTORS - 1u];
} VECTORS = {
    stack_top,
    {start, damaged_read, fall_silent, fall_silent, fall_silent, fall_silent, 0, 0, 0, 0, fall_silent, fall_silent, 0,
     fall_silent, systick_wrapped},
};
