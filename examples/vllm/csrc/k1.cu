// kernel 1
__global__ void k1();
