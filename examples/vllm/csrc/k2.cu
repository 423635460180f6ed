// kernel 2
__global__ void k2();
