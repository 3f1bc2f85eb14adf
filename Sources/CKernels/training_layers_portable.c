// Training's row-wise layers in the instructions that every processor of the architecture has: plain C, or NEON on Arm.

#include "training_layers_instances.h"

const ck_train_kernels ck_train_portable = CK_TRAIN_KERNELS;
