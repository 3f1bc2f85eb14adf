// The row-wise layers in the instructions that every processor of the architecture has: plain C, or NEON on
// Arm.

#include "layers_rows.h"

const ck_layer_kernels ck_layers_portable = CK_LAYER_KERNELS;
