/* Tensors as the file describes them, believed only as far as they add up. */
#include <stddef.h>
#include <string.h>

#include "state.h"

enum { TENSOR_SHAPE = 0, TENSOR_TYPE = 1, TENSOR_BUFFER = 2, TENSOR_SCALES = 4, TENSOR_VARIABLE = 5, TENSOR_SPARSITY = 6 };
enum { SCALES_SCALE = 2, SCALES_ZERO_POINT = 3, SCALES_AXIS = 6 };
enum { BUFFER_DATA = 0, BUFFER_OFFSET = 1 };

/* Bytes of an element of each TensorType; 0 for what has no fixed size. */
static const uint8_t ELEMENT_BYTES[] = {4, 2, 4, 1, 8, 0, 1, 2, 8, 1, 8, 16, 8, 0, 0, 4, 2};

static bool shape_of(preparation *at, uint32_t table, tensor *found) {
    flat_vector shape = flat_vector_of(at->file, table, TENSOR_SHAPE, 4);
    uint64_t elements = 1;
    if (shape.count > LARGEST_RANK) return unsupported(at, "a tensor of more than 6 dimensions");
    if (found->type >= sizeof ELEMENT_BYTES || ELEMENT_BYTES[found->type] == 0) return unsupported(at, "a tensor of a type without a size");
    found->rank = (uint8_t)shape.count;
    for (uint32_t axis = 0; axis < shape.count; axis++) {
        int32_t size = flat_i32(at->file, shape.at + 4 * axis);
        if (size < 1) return unsupported(at, "a dimension below 1: shapes must be fixed and not empty");
        found->dims[axis] = size;
        elements *= (uint32_t)size;
        if (elements > INT32_MAX / 16) return unsupported(at, "a tensor of more than 134 million elements");
    }
    found->elements = (uint32_t)elements;
    found->bytes = found->elements * ELEMENT_BYTES[found->type];
    return true;
}

static bool data_of(preparation *at, uint32_t table, tensor *found) {
    flat_file *file = at->file;
    uint32_t number = (uint32_t)flat_i32_or(file, table, TENSOR_BUFFER, 0);
    found->data = NO_DATA;
    if (number == 0 || file->broken) return true;
    uint32_t buffer = flat_element(file, at->buffers, number);
    flat_vector data = flat_vector_of(file, buffer, BUFFER_DATA, 1);
    if (flat_field(file, buffer, BUFFER_OFFSET) != 0) return unsupported(at, "weights outside of the flatbuffer");
    if (data.count == 0) return true;
    if (data.count < found->bytes) return refuse(at, ENGINE_BAD_MODEL, "a constant has fewer bytes than its shape says");
    found->data = data.at;
    return true;
}

static bool good_scale(float scale) {
    return scale > 0.0f && scale < 1e30f;
}

static bool one_or_one_each(const tensor *of) {
    int32_t axis = of->channel_axis;
    return of->scales.count == 1 || (axis >= 0 && axis < of->rank && of->scales.count == (uint32_t)of->dims[axis]);
}

static bool scales_of(preparation *at, uint32_t table, tensor *found) {
    flat_file *file = at->file;
    uint32_t scales = flat_table(file, table, TENSOR_SCALES);
    flat_vector zero_points = flat_vector_of(file, scales, SCALES_ZERO_POINT, 8);
    found->scales = flat_vector_of(file, scales, SCALES_SCALE, 4);
    found->channel_axis = flat_i32_or(file, scales, SCALES_AXIS, 0);
    if (found->scales.count == 0) return true;
    if (!one_or_one_each(found)) return unsupported(at, "scales that are neither one for all nor one for each along an axis");
    for (uint32_t index = 0; index < found->scales.count; index++) {
        if (!good_scale(flat_f32(file, found->scales.at + 4 * index))) return unsupported(at, "a scale that is not a positive number");
    }
    for (uint32_t index = 0; index < zero_points.count; index++) {
        int64_t zero_point = flat_i64(file, zero_points.at + 8 * index);
        bool near = zero_point >= -128 && zero_point <= 127;
        if (found->type == TYPE_INT8 && !near) return unsupported(at, "a zero point outside of int8");
        if (index == 0 && near) found->zero_point = (int32_t)zero_point;
    }
    found->scale = flat_f32(file, found->scales.at);
    return true;
}

bool describe_tensor(preparation *at, uint32_t index, tensor *found) {
    flat_file *file = at->file;
    uint32_t table = flat_element(file, at->tensors, index);
    memset(found, 0, sizeof *found);
    found->index = index;
    found->type = flat_u8_or(file, table, TENSOR_TYPE, TYPE_FLOAT32);
    if (flat_u8_or(file, table, TENSOR_VARIABLE, 0) != 0) return unsupported(at, "a tensor that keeps its state between runs");
    if (flat_field(file, table, TENSOR_SPARSITY) != 0) return unsupported(at, "a sparse tensor");
    if (!shape_of(at, table, found) || !data_of(at, table, found) || !scales_of(at, table, found)) return false;
    return !file->broken || refuse(at, ENGINE_BAD_MODEL, "the file is damaged: an offset leads out of it");
}

static bool tensor_of(preparation *at, flat_vector numbers, uint32_t index, tensor *found) {
    int32_t number = index < numbers.count ? flat_i32(at->file, numbers.at + 4 * index) : -1;
    if (number < 0) return refuse(at, ENGINE_BAD_MODEL, "an input or output is missing");
    return describe_tensor(at, (uint32_t)number, found);
}

bool input_tensor(preparation *at, uint32_t index, tensor *found) {
    return tensor_of(at, at->inputs, index, found);
}

bool output_tensor(preparation *at, uint32_t index, tensor *found) {
    return tensor_of(at, at->outputs, index, found);
}

bool has_input(preparation *at, uint32_t index) {
    return index < at->inputs.count && flat_i32(at->file, at->inputs.at + 4 * index) >= 0;
}

bool int8_pair(preparation *at, tensor *input, tensor *output) {
    if (!input_tensor(at, 0, input) || !output_tensor(at, 0, output)) return false;
    if (input->type != TYPE_INT8 || output->type != TYPE_INT8) return unsupported(at, "input and output must be int8");
    return (input->scale > 0 && output->scale > 0) || unsupported(at, "int8 without a scale");
}

bool is_constant(const tensor *of) {
    return of->data != NO_DATA;
}

int32_t constant_i32(preparation *at, const tensor *of, uint32_t index) {
    return flat_i32(at->file, of->data + 4 * index);
}

float scale_at(preparation *at, const tensor *of, uint32_t index) {
    return of->scales.count == 1 ? of->scale : flat_f32(at->file, of->scales.at + 4 * index);
}
