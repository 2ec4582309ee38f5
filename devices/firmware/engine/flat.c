/* Flatbuffers, read with every offset checked. */
#include "flat.h"

#include <stddef.h>
#include <string.h>

static const uint8_t *reach(flat_file *file, uint32_t at, uint32_t bytes) {
    if (at > file->size || file->size - at < bytes) {
        file->broken = true;
        return NULL;
    }
    return file->bytes + at;
}

uint8_t flat_u8(flat_file *file, uint32_t at) {
    const uint8_t *from = reach(file, at, 1);
    return from ? from[0] : 0;
}

uint16_t flat_u16(flat_file *file, uint32_t at) {
    const uint8_t *from = reach(file, at, 2);
    return from ? (uint16_t)(from[0] | from[1] << 8) : 0;
}

uint32_t flat_u32(flat_file *file, uint32_t at) {
    const uint8_t *from = reach(file, at, 4);
    return from ? (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24 : 0;
}

int32_t flat_i32(flat_file *file, uint32_t at) {
    return (int32_t)flat_u32(file, at);
}

int64_t flat_i64(flat_file *file, uint32_t at) {
    uint64_t low = flat_u32(file, at);
    uint64_t high = reach(file, at, 8) ? flat_u32(file, at + 4) : 0;
    return (int64_t)(low | high << 32);
}

float flat_f32(flat_file *file, uint32_t at) {
    uint32_t bits = flat_u32(file, at);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint32_t flat_follow(flat_file *file, uint32_t at) {
    if (at == 0) return 0;
    uint32_t offset = flat_u32(file, at);
    if (file->broken || offset == 0 || offset > file->size - at) {
        file->broken = true;
        return 0;
    }
    return at + offset;
}

uint32_t flat_field(flat_file *file, uint32_t table, uint32_t slot) {
    if (table == 0) return 0;
    int64_t vtable = (int64_t)table - flat_i32(file, table);
    if (file->broken || vtable < 0 || vtable > (int64_t)file->size) {
        file->broken = true;
        return 0;
    }
    uint32_t entry = 4 + 2 * slot;
    if (entry + 2 > flat_u16(file, (uint32_t)vtable)) return 0;
    uint16_t offset = flat_u16(file, (uint32_t)vtable + entry);
    if (offset == 0 || reach(file, table, offset) == NULL) return 0;
    return table + offset;
}

uint32_t flat_table(flat_file *file, uint32_t table, uint32_t slot) {
    return flat_follow(file, flat_field(file, table, slot));
}

flat_vector flat_vector_of(flat_file *file, uint32_t table, uint32_t slot, uint32_t element_bytes) {
    flat_vector found = {0, 0};
    uint32_t at = flat_table(file, table, slot);
    if (at == 0) return found;
    uint32_t count = flat_u32(file, at);
    if (file->broken || count > (file->size - at - 4) / element_bytes) {
        file->broken = true;
        return found;
    }
    found.at = at + 4;
    found.count = count;
    return found;
}

int32_t flat_i32_or(flat_file *file, uint32_t table, uint32_t slot, int32_t absent) {
    uint32_t at = flat_field(file, table, slot);
    return at ? flat_i32(file, at) : absent;
}

uint8_t flat_u8_or(flat_file *file, uint32_t table, uint32_t slot, uint8_t absent) {
    uint32_t at = flat_field(file, table, slot);
    return at ? flat_u8(file, at) : absent;
}

float flat_f32_or(flat_file *file, uint32_t table, uint32_t slot, float absent) {
    uint32_t at = flat_field(file, table, slot);
    return at ? flat_f32(file, at) : absent;
}

uint32_t flat_element(flat_file *file, flat_vector tables, uint32_t index) {
    if (index >= tables.count) {
        file->broken = true;
        return 0;
    }
    return flat_follow(file, tables.at + 4 * index);
}
