// Everything that the Swift side sees of the kernels.
#ifndef CKERNELS_H
#define CKERNELS_H

#include "attention.h"
#include "block_quantization.h"
#include "convert.h"
#include "cpu.h"
#include "gemm.h"
#include "layers.h"
#include "linear.h"
#include "optimizers.h"
#include "quantization.h"
#include "thread_pool.h"
#include "training_attention.h"
#include "training_layers.h"

#endif
