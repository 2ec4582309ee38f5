/* CRC-32 by half bytes: a table of 64 bytes instead of 1,024, since flash is dear and the line slower than this. */
#include "frame/crc32.h"

/* ISO 3309, polynomial 0x04C11DB7 with its bits reversed: entry n is what four steps make of the remainder n. */
static const uint32_t STEPS[16] = {
    0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u, 0x4DB26158u, 0x5005713Cu,
    0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu, 0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu,
};

uint32_t crc32(uint32_t before, const uint8_t *bytes, uint32_t count)
{
    uint32_t crc = ~before;
    for (uint32_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        crc = (crc >> 4) ^ STEPS[crc & 15u];
        crc = (crc >> 4) ^ STEPS[crc & 15u];
    }
    return ~crc;
}
