/* A reader of flatbuffers that believes nothing: every offset is checked against the file before a byte is read.
 *
 * A read outside the file, or of something that cannot be, gives 0 and marks the file as broken for good; a caller reads what it
 * needs and asks once at the end. Position 0 (the root's offset) stands for "absent" everywhere, and reads of absent things give
 * the default without breaking the file. Layout: https://flatbuffers.dev/internals (tables, vtables, vectors; little-endian).
 */
#ifndef ENGINE_FLAT_H
#define ENGINE_FLAT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    const uint8_t *bytes;
    uint32_t size;
    bool broken;
} flat_file;

/* A vector whose `count` elements, from position `at` on, all lie inside the file. Absent: count 0. */
typedef struct {
    uint32_t at;
    uint32_t count;
} flat_vector;

/* Little-endian numbers at a position, aligned or not. */
uint8_t flat_u8(flat_file *file, uint32_t at);
uint16_t flat_u16(flat_file *file, uint32_t at);
uint32_t flat_u32(flat_file *file, uint32_t at);
int32_t flat_i32(flat_file *file, uint32_t at);
int64_t flat_i64(flat_file *file, uint32_t at);
float flat_f32(flat_file *file, uint32_t at);

/* The position that the offset at position `at` leads to; 0 for at == 0. */
uint32_t flat_follow(flat_file *file, uint32_t at);

/* The position of a table's field, 0 where the table (or position 0) does not have it. */
uint32_t flat_field(flat_file *file, uint32_t table, uint32_t slot);

/* A table or a vector that a field leads to, and scalar fields with their defaults. */
uint32_t flat_table(flat_file *file, uint32_t table, uint32_t slot);
flat_vector flat_vector_of(flat_file *file, uint32_t table, uint32_t slot, uint32_t element_bytes);
int32_t flat_i32_or(flat_file *file, uint32_t table, uint32_t slot, int32_t absent);
uint8_t flat_u8_or(flat_file *file, uint32_t table, uint32_t slot, uint8_t absent);
float flat_f32_or(flat_file *file, uint32_t table, uint32_t slot, float absent);

/* The index-th table of a vector of offsets; breaks the file where there is none. */
uint32_t flat_element(flat_file *file, flat_vector tables, uint32_t index);

#endif
