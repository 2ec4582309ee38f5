/* One function a request: it reads the payload, does it, and leaves its answer in the draft. */
#include "core/requests.h"

#include <string.h>

#include "core/exchange.h"
#include "core/info.h"
#include "core/model.h"
#include "core/slot_requests.h"
#include "core/slots.h"
#include "core/upload.h"
#include "frame/bytes.h"
#include "port/port.h"

#define STEP_BYTES 5u
#define ORDER_BYTES (SHA256_BYTES + 5u)
#define REFUSAL_BYTES 17u

static struct frame_draft draft;

/* The last INVOKE, which is not done twice. */
static struct {
    bool is_done;
    uint16_t sequence;
    uint64_t ticks;
} invoked;

static uint8_t hello(struct exchange *exchange)
{
    (void)exchange;
    invoked.is_done = false;
    return STATUS_OK;
}

static uint8_t info(struct exchange *exchange)
{
    if (exchange->asked_bytes != 4u) {
        return STATUS_BAD_REQUEST;
    }
    exchange->answer_bytes = info_read(get_u32(exchange->asked), exchange->answer, EXCHANGE_ROOM);
    return STATUS_OK;
}

static uint8_t uploading(struct exchange *exchange, enum upload_result result)
{
    static const uint8_t STATUS[] = {
        [UPLOAD_OK] = STATUS_OK,
        [UPLOAD_TOO_LARGE] = STATUS_TOO_LARGE,
        [UPLOAD_NONE] = STATUS_NO_UPLOAD,
        [UPLOAD_INCOMPLETE] = STATUS_INCOMPLETE,
        [UPLOAD_DIFFERENT] = STATUS_DIFFERENT,
    };
    put_u32(exchange->answer, upload_offset());
    exchange->answer_bytes = 4;
    return STATUS[result];
}

static uint8_t begin(struct exchange *exchange)
{
    struct upload_order order = {0};
    const uint8_t *asked = exchange->asked;
    if (exchange->asked_bytes < ORDER_BYTES || exchange->asked_bytes >= ORDER_BYTES + UPLOAD_NAME_BYTES) {
        return STATUS_BAD_REQUEST;
    }
    memcpy(order.sha256, asked, SHA256_BYTES);
    order.total_bytes = get_u32(asked + SHA256_BYTES);
    order.scores = asked[SHA256_BYTES + 4u];
    memcpy(order.name, asked + ORDER_BYTES, exchange->asked_bytes - ORDER_BYTES);
    if (order.scores >= UPLOAD_SCORES_COUNT) {
        return STATUS_BAD_REQUEST;
    }
    model_unload();
    return uploading(exchange, upload_begin(&order));
}

static uint8_t data(struct exchange *exchange)
{
    if (exchange->asked_bytes < 4u) {
        return STATUS_BAD_REQUEST;
    }
    model_unload();
    return uploading(exchange, upload_take(get_u32(exchange->asked), exchange->asked + 4, exchange->asked_bytes - 4u));
}

static uint8_t commit(struct exchange *exchange)
{
    return uploading(exchange, upload_check());
}

static uint8_t refused(struct exchange *exchange, const engine_error *error)
{
    uint8_t *to = exchange->answer;
    const uint32_t length = (uint32_t)strlen(error->reason);
    const uint32_t kept = length < EXCHANGE_ROOM - REFUSAL_BYTES ? length : EXCHANGE_ROOM - REFUSAL_BYTES;
    to[0] = (uint8_t)error->status;
    put_u32(to + 1, (uint32_t)error->operator_index);
    put_u32(to + 5, (uint32_t)error->builtin);
    put_u32(to + 9, (uint32_t)error->version);
    put_u32(to + 13, error->needed_bytes);
    memcpy(to + REFUSAL_BYTES, error->reason, kept);
    exchange->answer_bytes = REFUSAL_BYTES + kept;
    return STATUS_REFUSED;
}

static uint8_t load_upload(struct exchange *exchange, engine_error *error)
{
    const enum upload_result found = upload_check();
    if (found != UPLOAD_OK) {
        return uploading(exchange, found);
    }
    const struct model_source source = upload_source();
    return model_load(&source, error) == MODEL_OK ? STATUS_OK : refused(exchange, error);
}

static uint8_t load_kept(struct exchange *exchange, engine_error *error)
{
    if (slots_running() == SLOTS_NONE) {
        return STATUS_NO_MODEL;
    }
    return slots_load(error) ? STATUS_OK : refused(exchange, error);
}

static uint8_t load(struct exchange *exchange)
{
    engine_error error;
    if (exchange->asked_bytes > 1u) {
        return STATUS_BAD_REQUEST;
    }
    const bool is_kept = exchange->asked_bytes == 1u && exchange->asked[0] != 0u;
    const uint8_t status = is_kept ? load_kept(exchange, &error) : load_upload(exchange, &error);
    if (status != STATUS_OK) {
        return status;
    }
    const engine *loaded = model_loaded();
    put_u32(exchange->answer, engine_arena_used(loaded));
    put_u16(exchange->answer + 4, (uint16_t)engine_input_count(loaded));
    put_u16(exchange->answer + 6, (uint16_t)engine_output_count(loaded));
    put_u32(exchange->answer + 8, engine_step_count(loaded));
    exchange->answer_bytes = 12;
    return STATUS_OK;
}

static uint8_t tensor(struct exchange *exchange)
{
    const engine *loaded = model_loaded();
    if (loaded == NULL) {
        return STATUS_NO_MODEL;
    }
    if (exchange->asked_bytes != 2u) {
        return STATUS_BAD_REQUEST;
    }
    const bool is_output = exchange->asked[0] != 0u;
    const uint32_t index = exchange->asked[1];
    if (index >= (is_output ? engine_output_count(loaded) : engine_input_count(loaded))) {
        return STATUS_BAD_REQUEST;
    }
    const engine_tensor found = is_output ? engine_output(loaded, index) : engine_input(loaded, index);
    uint32_t scale;
    memcpy(&scale, &found.scale, sizeof scale);
    exchange->answer[0] = found.type;
    put_u32(exchange->answer + 1, found.bytes);
    put_u32(exchange->answer + 5, scale);
    put_u32(exchange->answer + 9, (uint32_t)found.zero_point);
    exchange->answer_bytes = 13;
    return STATUS_OK;
}

static uint8_t running(enum model_result result)
{
    static const uint8_t STATUS[] = {
        [MODEL_OK] = STATUS_OK,
        [MODEL_REFUSED] = STATUS_REFUSED,
        [MODEL_NONE] = STATUS_NO_MODEL,
        [MODEL_NO_SUCH_PART] = STATUS_BAD_REQUEST,
        [MODEL_INPUT_MISSING] = STATUS_INPUT_MISSING,
        [MODEL_NO_ROOM] = STATUS_TOO_LARGE,
    };
    return STATUS[result];
}

static uint8_t write(struct exchange *exchange)
{
    const uint8_t *asked = exchange->asked;
    if (exchange->asked_bytes < 5u) {
        return STATUS_BAD_REQUEST;
    }
    return running(model_write(asked[0], get_u32(asked + 1), asked + 5, exchange->asked_bytes - 5u));
}

static uint8_t invoke(struct exchange *exchange)
{
    if (!invoked.is_done || invoked.sequence != exchange->sequence) {
        const uint32_t count = exchange->asked_bytes == 4u ? get_u32(exchange->asked) : 1u;
        if (count == 0u || count > MODEL_RUNS_MAX) {
            return STATUS_BAD_REQUEST;
        }
        enum model_result result = model_run(count, &invoked.ticks);
        if (result != MODEL_OK) {
            return running(result);
        }
        invoked.is_done = true;
        invoked.sequence = exchange->sequence;
    }
    put_u64(exchange->answer, invoked.ticks);
    exchange->answer_bytes = 8;
    return STATUS_OK;
}

static uint8_t read(struct exchange *exchange)
{
    const engine *loaded = model_loaded();
    const uint8_t *asked = exchange->asked;
    if (loaded == NULL) {
        return STATUS_NO_MODEL;
    }
    if (exchange->asked_bytes != 7u || asked[0] >= engine_output_count(loaded)) {
        return STATUS_BAD_REQUEST;
    }
    const engine_tensor found = engine_output(loaded, asked[0]);
    const uint32_t offset = get_u32(asked + 1);
    const uint32_t count = get_u16(asked + 5);
    if (count > EXCHANGE_ROOM || offset > found.bytes || count > found.bytes - offset) {
        return STATUS_BAD_REQUEST;
    }
    memcpy(exchange->answer, (const uint8_t *)found.data + offset, count);
    exchange->answer_bytes = count;
    return STATUS_OK;
}

static uint8_t steps(struct exchange *exchange)
{
    const engine *loaded = model_loaded();
    if (loaded == NULL) {
        return STATUS_NO_MODEL;
    }
    if (exchange->asked_bytes != 4u) {
        return STATUS_BAD_REQUEST;
    }
    const uint32_t count = engine_step_count(loaded);
    for (uint32_t i = get_u32(exchange->asked); i < count && exchange->answer_bytes + STEP_BYTES <= EXCHANGE_ROOM; i++) {
        uint8_t *to = exchange->answer + exchange->answer_bytes;
        to[0] = engine_step_operator(loaded, i)->builtin;
        put_u32(to + 1, engine_step_ticks(loaded, i));
        exchange->answer_bytes += STEP_BYTES;
    }
    return STATUS_OK;
}

static uint8_t forget(struct exchange *exchange)
{
    (void)exchange;
    model_unload();
    upload_forget();
    return STATUS_OK;
}

static uint8_t reset(struct exchange *exchange)
{
    (void)exchange;
    return STATUS_OK;
}

static uint8_t dispatched(uint8_t kind, struct exchange *exchange)
{
    static const struct {
        uint8_t kind;
        uint8_t (*answer)(struct exchange *exchange);
    } TABLE[] = {
        {REQUEST_HELLO, hello},
        {REQUEST_INFO, info},
        {REQUEST_BEGIN, begin},
        {REQUEST_DATA, data},
        {REQUEST_COMMIT, commit},
        {REQUEST_LOAD, load},
        {REQUEST_TENSOR, tensor},
        {REQUEST_WRITE, write},
        {REQUEST_INVOKE, invoke},
        {REQUEST_READ, read},
        {REQUEST_STEPS, steps},
        {REQUEST_FORGET, forget},
        {REQUEST_RESET, reset},
        {REQUEST_SLOTS, slot_request_tell},
        {REQUEST_STAGE, slot_request_stage},
        {REQUEST_CONFIRM, slot_request_confirm},
        {REQUEST_REVOKE, slot_request_revoke},
    };
    for (uint32_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
        if (TABLE[i].kind == kind) {
            return TABLE[i].answer(exchange);
        }
    }
    return STATUS_UNKNOWN_REQUEST;
}

void request_answer(const struct frame_decoder *request)
{
    const uint8_t kind = frame_kind(request);
    if ((kind & REQUEST_ANSWERED) != 0u) { /* an answer that came back to where it was made */
        return;
    }
    struct exchange exchange = {
        .asked = frame_payload(request),
        .asked_bytes = frame_payload_bytes(request),
        .sequence = frame_sequence(request),
        .answer = draft.bytes + FRAME_HEAD_BYTES + 1u,
    };
    draft.bytes[FRAME_HEAD_BYTES] = dispatched(kind, &exchange);
    frame_send(&draft, (uint8_t)(kind | REQUEST_ANSWERED), exchange.sequence, 1u + exchange.answer_bytes, port_write);
    if (kind == REQUEST_RESET) {
        port_reset();
    }
}
