// kernel 3
__global__ void k3();
