/* What the host may ask of the two slots; each returns its status. */
#ifndef EDGEPIPE_SLOT_REQUESTS_H
#define EDGEPIPE_SLOT_REQUESTS_H

#include "core/exchange.h"

uint8_t slot_request_tell(struct exchange *exchange);
uint8_t slot_request_stage(struct exchange *exchange);
uint8_t slot_request_confirm(struct exchange *exchange);
uint8_t slot_request_revoke(struct exchange *exchange);

#endif
