/* Nucleo-L4R5ZI, an STM32L4R5 at 80 MHz. Registers are those of ST's RM0432, pins those of DS12023 and of the board's UM2179.

   DMA takes the line's bytes into a ring, so that nothing is lost while the firmware computes, and no interrupt ever occurs. */
#include "port/port.h"

#include "port/cortex_m/dwt.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define RCC(offset) REGISTER(0x40021000u + (offset)) /* CR 00, CFGR 08, PLLCFGR 0C, AHB1ENR 48, AHB2ENR 4C, APB1ENR1 58, 2 5C */
#define PWR_CR2 REGISTER(0x40007004u)
#define FLASH_ACR REGISTER(0x40022000u)
#define GPIOB(offset) REGISTER(0x48000400u + (offset)) /* MODER 00, BSRR 18, AFRL 20, AFRH 24 */
#define GPIOG(offset) REGISTER(0x48001800u + (offset))
#define LPUART(offset) REGISTER(0x40008000u + (offset)) /* CR1 00, CR3 08, BRR 0C, ISR 1C, RDR 24, TDR 28 */
#define DMA_CHANNEL_1(offset) REGISTER(0x40020000u + (offset)) /* CCR 08, CNDTR 0C, CPAR 10, CMAR 14 */
#define DMAMUX_CHANNEL_0 REGISTER(0x40020800u)
#define AIRCR REGISTER(0xE000ED0Cu) /* ARM DDI 0403E, B3.2.6 */
#define AIRCR_RESET 0x05FA0004u
#define UNIQUE_ID ((volatile const uint32_t *)0x1FFF7590u) /* 96 bits */
#define UNIQUE_ID_WORDS 3u

#define CLOCK_HZ 80000000u
#ifndef BAUD
#define BAUD 921600u
#endif
#define LINE_CLOCK_HZ (BAUD < 20000u ? CLOCK_HZ / 4u : CLOCK_HZ)
#define LINE_DIVIDER (256ull * LINE_CLOCK_HZ / BAUD)
_Static_assert(LINE_DIVIDER >= 0x300u && LINE_DIVIDER <= 0xFFFFFu, "an LPUART cannot run at this baud rate");
#define REQUEST_LPUART_RX 34u /* of the DMAMUX, on the L4R and L4S lines */
#define ISR_CAN_SEND (1u << 7)
#define MARKER_UP (1u << 7) /* PB7, the blue LED */
#define MARKER_DOWN (MARKER_UP << 16)

#define MODEL_BYTES (384u << 10)
#define ARENA_BYTES (128u << 10)
#define SAMPLES_BYTES (32u << 10)
#define RING_BYTES 8192u

static PORT_KEPT _Alignas(16) uint8_t model[MODEL_BYTES];
static PORT_KEPT _Alignas(16) uint8_t arena[ARENA_BYTES];
static PORT_KEPT uint8_t samples[SAMPLES_BYTES];
static volatile uint8_t ring[RING_BYTES];
static uint32_t taken;
static char serial[8u * UNIQUE_ID_WORDS + 1u];

const struct port_facts PORT_FACTS = {.board = "nucleo-l4r5zi", .cpu = "cortex-m4", .serial = serial, .clock_hz = CLOCK_HZ,
                                      .window_bytes = RING_BYTES / 2u, .emulated = false};
const struct port_memory PORT_MEMORY = {model, MODEL_BYTES, arena, ARENA_BYTES, samples, SAMPLES_BYTES};

static void wait_for(volatile uint32_t *from, uint32_t bits, uint32_t value)
{
    while ((*from & bits) != value) {}
}

/* HSI16 / 2 * 20 / 2 = 80 MHz, the most of voltage range 1 without its boost, with three wait states of the flash. */
static void begin_clock(void)
{
    RCC(0x00) |= 1u << 8; /* HSION */
    wait_for(&RCC(0x00), 1u << 10, 1u << 10);
    RCC(0x0C) = 2u | (1u << 4) | (20u << 8) | (1u << 24); /* HSI16, M = 2, N = 20, R = 2 and its output on */
    RCC(0x00) |= 1u << 24;                               /* PLLON */
    wait_for(&RCC(0x00), 1u << 25, 1u << 25);
    FLASH_ACR = (FLASH_ACR & ~0xFu) | 3u | (1u << 8); /* latency, prefetch; both caches are on after a reset */
    wait_for(&FLASH_ACR, 0xFu, 3u);
    RCC(0x08) |= 3u; /* the PLL is the system's clock */
    wait_for(&RCC(0x08), 3u << 2, 3u << 2);
}

/* LPUART1 on PG7 and PG8 (alternate function 8) leads to the ST-LINK; port G has a supply of its own, which must be let in. */
static void begin_line(void)
{
    RCC(0x48) |= (1u << 0) | (1u << 2);  /* DMA1, DMAMUX1 */
    RCC(0x4C) |= (1u << 1) | (1u << 6);  /* GPIOB, GPIOG */
    RCC(0x58) |= 1u << 28;               /* PWR */
    RCC(0x5C) |= 1u << 0;                /* LPUART1, clocked by PCLK1 after a reset */
    (void)RCC(0x5C);                     /* a clock is there two cycles after it was switched on */
    PWR_CR2 |= 1u << 9;                  /* IOSV */
    GPIOG(0x20) = (GPIOG(0x20) & ~(0xFu << 28)) | (8u << 28);
    GPIOG(0x24) = (GPIOG(0x24) & ~0xFu) | 8u;
    GPIOG(0x00) = (GPIOG(0x00) & ~(0xFu << 14)) | (0xAu << 14);
    GPIOB(0x00) = (GPIOB(0x00) & ~(3u << 14)) | (1u << 14);
    DMAMUX_CHANNEL_0 = REQUEST_LPUART_RX;
    DMA_CHANNEL_1(0x10) = (uint32_t)(uintptr_t)&LPUART(0x24);
    DMA_CHANNEL_1(0x14) = (uint32_t)(uintptr_t)ring;
    DMA_CHANNEL_1(0x0C) = RING_BYTES;
    DMA_CHANNEL_1(0x08) = (1u << 7) | (1u << 5) | 1u; /* bytes into memory that goes on and around */
    if (LINE_CLOCK_HZ < CLOCK_HZ) {
        LPUART(0x2C) = 2u; /* PRESC: a fourth */
    }
    LPUART(0x0C) = (uint32_t)LINE_DIVIDER;
    LPUART(0x08) = (1u << 12) | (1u << 6); /* no stop at an overrun, DMA receives */
    LPUART(0x00) = (1u << 3) | (1u << 2) | 1u;
}

void port_begin(void)
{
    static const char DIGITS[] = "0123456789ABCDEF";
    begin_clock();
    begin_line();
    for (uint32_t i = 0; i < 8u * UNIQUE_ID_WORDS; i++) {
        serial[i] = DIGITS[(UNIQUE_ID[i / 8u] >> (28u - 4u * (i % 8u))) & 0xFu];
    }
    dwt_begin();
}

uint8_t port_read(void)
{
    while ((RING_BYTES - DMA_CHANNEL_1(0x0C)) % RING_BYTES == taken) { /* the DMA counts down what is left of the ring */
        (void)dwt_since_clear();
    }
    const uint8_t byte = ring[taken];
    taken = (taken + 1u) % RING_BYTES;
    return byte;
}

void port_write(const uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        wait_for(&LPUART(0x1C), ISR_CAN_SEND, ISR_CAN_SEND);
        LPUART(0x28) = bytes[i];
    }
}

uint64_t port_ticks(void) { return dwt_ticks(); }

void port_window_open(void)
{
    GPIOB(0x18) = MARKER_UP;
    dwt_clear();
}

uint32_t port_window_ticks(void *unused) { (void)unused; return (uint32_t)(dwt_since_clear() & UINT32_MAX); }

uint64_t port_window_close(void)
{
    const uint64_t ticks = dwt_since_clear();
    GPIOB(0x18) = MARKER_DOWN;
    return ticks;
}

void port_mark(bool up) { GPIOB(0x18) = up ? MARKER_UP : MARKER_DOWN; }

_Noreturn void port_reset(void)
{
    wait_for(&LPUART(0x1C), 1u << 6, 1u << 6); /* TC: what was written has left */
    __asm volatile("dsb");
    AIRCR = AIRCR_RESET;
    for (;;) {}
}
