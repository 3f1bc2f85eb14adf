// Everything that the Swift side sees of the kernels.
#ifndef CKERNELS_H
#define CKERNELS_H

#include "attention.h"
#include "convert.h"
#include "cpu.h"
#include "layers.h"
#include "linear.h"
#include "thread_pool.h"

#endif
