#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

/* Makes system calls that Docker's default profile names, and prints what each one says. Harmless where allowed: the arguments are empty. */
static void say(const char *name, long result) {
  printf("%s %s\n", name, result >= 0 ? "allowed" : strerrorname_np(errno));
}
#define CALL(name, ...) say(#name, syscall(SYS_##name, __VA_ARGS__))

/* Opens for writing and writes nothing; what this kernel lacks is closed, too. */
static void writable(const char *path) {
  char name[200];
  snprintf(name, sizeof name, "write(%s)", path);
  int fd = open(path, O_WRONLY);
  printf("%s %s\n", name, fd < 0 ? "closed" : "allowed");
  if (fd >= 0) close(fd);
}

/* A hidden file is there and empty, or cannot be opened; a hidden directory has nothing in it. */
static void readable(const char *path) {
  char name[200], byte;
  snprintf(name, sizeof name, "read(%s)", path);
  int fd = open(path, O_RDONLY);
  struct stat st;
  if (fd < 0) {
    printf("%s %s\n", name, errno == ENOENT ? "hidden" : strerrorname_np(errno));
    return;
  }
  if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
    char entries[4096];
    long n = syscall(SYS_getdents64, fd, entries, sizeof entries);
    printf("%s %s\n", name, n <= 48 ? "hidden" : "allowed");
  } else {
    printf("%s %s\n", name, read(fd, &byte, 1) <= 0 ? "hidden" : "allowed");
  }
  close(fd);
}

/* Makes a device node and opens it. */
static void device(const char *what, mode_t kind, int major, int minor) {
  char name[200];
  unlink("/node");
  snprintf(name, sizeof name, "mknod(%s)", what);
  say(name, mknod("/node", kind | 0600, makedev(major, minor)));
  snprintf(name, sizeof name, "open(%s)", what);
  int fd = open("/node", O_RDWR);
  say(name, fd);
  if (fd >= 0) close(fd);
  unlink("/node");
}

static void sibling(void) {
  fflush(stdout);
  pid_t other = fork();
  if (other == 0) {
    pause();
    _exit(0);
  }
  long attached = ptrace(PTRACE_ATTACH, other, 0, 0);
  say("ptrace(sibling)", attached);
  kill(other, SIGKILL);
  waitpid(other, 0, 0);
}

/* Mounts that reach other mount namespaces, or come from them. */
static void propagation(void) {
  char line[4096];
  int shared = 0;
  FILE *mounts = fopen("/proc/self/mountinfo", "r");
  while (mounts && fgets(line, sizeof line, mounts))
    if (strstr(line, " shared:") || strstr(line, " master:")) shared++;
  printf("propagation %s\n", mounts && !shared ? "private" : "shared");
}

static void paths(void) {
  const char *closed[] = {"/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
    "/proc/sys/vm/drop_caches", "/proc/irq/default_smp_affinity", "/sys/kernel/mm/ksm/run", "/sys/power/state"};
  for (unsigned i = 0; i < sizeof closed / sizeof *closed; i++) writable(closed[i]);
  const char *hidden[] = {"/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/latency_stats",
    "/proc/scsi", "/proc/acpi", "/proc/asound", "/sys/firmware", "/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/fuse"};
  for (unsigned i = 0; i < sizeof hidden / sizeof *hidden; i++) readable(hidden[i]);
  /* Version 2, or a hierarchy of version 1: the directory above those is a file system of the sandbox's own. */
  int two = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
  int made = mkdir(two ? "/sys/fs/cgroup/x" : "/sys/fs/cgroup/memory/x", 0700);
  printf("cgroup(mkdir) %s\n", made < 0 ? "refused" : "allowed");
  if (made == 0) rmdir(two ? "/sys/fs/cgroup/x" : "/sys/fs/cgroup/memory/x");
  int procs = open(two ? "/sys/fs/cgroup/cgroup.procs" : "/sys/fs/cgroup/memory/cgroup.procs", O_WRONLY);
  printf("cgroup(join) %s\n", procs < 0 ? "refused" : "allowed");
  int agent = open("/sys/fs/cgroup/release_agent", O_WRONLY);
  int agent1 = open("/sys/fs/cgroup/memory/release_agent", O_WRONLY);
  printf("cgroup(release_agent) %s\n", agent < 0 && agent1 < 0 ? "refused" : "allowed");
}

int main(void) {
  static char nothing[256];
  CALL(keyctl, 0, -3, 0, 0, 0);
  CALL(add_key, "user", "x", "y", 1, -3);
  CALL(request_key, "user", "x", 0, -3);
  CALL(bpf, 0, nothing, 120);
  CALL(perf_event_open, nothing, 0, -1, -1, 0);
  CALL(io_uring_setup, 1, nothing);
  CALL(kexec_load, 0, 0, 0, 0);
  CALL(init_module, nothing, 0, "");
  CALL(delete_module, "x", 0);
  CALL(mount, "none", "/tmp", "tmpfs", 0, "");
  CALL(umount2, "/proc", 0);
  CALL(pivot_root, "/", "/");
  CALL(unshare, 0x10000000);
  CALL(setns, 0, 0);
  CALL(open_by_handle_at, -1, nothing, 0);
  CALL(userfaultfd, 1);
  CALL(swapon, "/x", 0);
  CALL(reboot, 0, 0, 0, 0);
  CALL(acct, 0);
  CALL(quotactl, 0, 0, 0, 0);
  CALL(settimeofday, nothing, 0);
  CALL(sethostname, "x", 1);
  CALL(syslog, 10, 0, 0);
  CALL(personality, 0x0008000);
  CALL(clone3, nothing, 88);
  CALL(move_pages, 0, 0, 0, 0, 0, 0);
  say("socket(AF_ALG)", socket(38, SOCK_SEQPACKET, 0));
  say("socket(AF_VSOCK)", socket(40, SOCK_STREAM, 0));
  say("socket(raw)", socket(AF_INET, SOCK_RAW, 1));
  CALL(fsopen, "tmpfs", 0);
  CALL(fsmount, -1, 0, 0);
  CALL(fsconfig, -1, 0, 0, 0, 0);
  CALL(fspick, -1, "/", 0);
  CALL(open_tree, -100, "/", 1);
  CALL(move_mount, -1, "", -1, "", 0);
  CALL(mount_setattr, -1, "/", 0, nothing, 32);
  CALL(io_uring_enter, -1, 0, 0, 0, 0, 0);
  CALL(io_uring_register, -1, 0, 0, 0);
  CALL(kexec_file_load, -1, -1, 0, 0, 0);
  CALL(finit_module, -1, "", 0);
  CALL(fanotify_init, 0, 0);
  CALL(kcmp, 1, 1, 0, 0, 0);
  CALL(pidfd_getfd, -1, 0, 0);
  CALL(setdomainname, "x", 1);
  CALL(clock_settime, 0, nothing);
  CALL(iopl, 3);
  CALL(ioperm, 0x80, 1, 1);
  CALL(vhangup, 0);
  CALL(swapoff, "/x");
  say("unshare(user)", unshare(CLONE_NEWUSER));
  say("unshare(mount)", unshare(CLONE_NEWNS));
  say("unshare(net)", unshare(CLONE_NEWNET));
  say("unshare(pid)", unshare(CLONE_NEWPID));
  say("unshare(cgroup)", unshare(CLONE_NEWCGROUP));
  fflush(stdout);
  long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
  if (child == 0) _exit(0);
  say("clone(user)", child);
  say("mount(make shared)", syscall(SYS_mount, "none", "/", 0, 1 << 20 | 1 << 14, 0));
  say("socket(packet)", socket(17, SOCK_RAW, 0));
  say("socket(netlink audit)", socket(AF_NETLINK, SOCK_RAW, 9));
  sibling();
  propagation();
  device("memory", S_IFCHR, 1, 1);
  device("disk", S_IFBLK, 8, 0);
  device("kmsg", S_IFCHR, 1, 11);
  paths();
  /* Last: from now on a signal stops this process. */
  fflush(stdout);
  CALL(ptrace, 0, 0, 0, 0);
  return 0;
}
