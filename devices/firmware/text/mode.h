/* How time stamps are told, decided as the firmware is built: as lines or, for whoever measures current, as falling edges of the
   marker. */
#ifndef EDGEPIPE_MODE_H
#define EDGEPIPE_MODE_H

#include <stdbool.h>

#ifdef EDGEPIPE_ENERGY_MODE
#define MODE_NAME "energy"
#define MODE_IS_ENERGY true
#else
#define MODE_NAME "performance"
#define MODE_IS_ENERGY false
#endif

#endif
