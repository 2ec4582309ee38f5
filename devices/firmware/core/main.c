/* The command loop: every byte of the line is part of a frame or of a text command, and nothing else ever happens. */
#include "core/requests.h"
#include "core/slots.h"
#include "core/upload.h"
#include "port/port.h"
#include "text/text.h"

static struct frame_decoder decoder;

int main(void)
{
    port_begin();
    upload_start();
    slots_start();
    frame_begin(&decoder);
    text_hello();
    for (;;) {
        const uint8_t byte = port_read();
        const enum frame_event event = frame_take(&decoder, byte);
        if (event == FRAME_WHOLE) {
            request_answer(&decoder);
        } else if (event == FRAME_TEXT) {
            text_take(byte);
        }
        if (event != FRAME_TEXT) {
            text_break();
        }
    }
}
