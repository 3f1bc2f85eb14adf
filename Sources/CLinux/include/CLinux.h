// What Swift cannot say for itself on Linux: new system calls, processes made without a copy of the caller,
// and the namespaces and mounts a step runs in. Nothing here allocates memory or keeps state.

#ifndef MARTLET_CLINUX_H
#define MARTLET_CLINUX_H

#include "step_init.h"
#include "system_calls.h"

#endif
