/* Lets one system call of a program fail, under its own seccomp filter:
 *
 *     inject CALL ERRNO EVERY [OFFSET] -- PROGRAM ARGUMENT...
 *
 * From SIGUSR1 on, of each thread and all together, the call with this number fails the first
 * time (EVERY 0) or every EVERY-th time. Ends as the program does; at the end it writes on
 * descriptor 9, if that is open, how often it let the call fail.
 *
 * The call is replaced by getpid, which every filter here allows (strace's -e inject puts -1
 * there, and a filter ends the process for that), and its result by the error. x86_64 alone. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t active;
static void activate(int signal) { (void)signal; active = 1; }

/* Threads that are between the entry and the exit of a call; 2: one that shall fail. */
static unsigned char state[1 << 22];

int main(int argc, char **argv) {
    if (argc < 6 || strcmp(argv[4], "--") != 0) return 125;
    long call = atol(argv[1]), error = atol(argv[2]), every = atol(argv[3]);
    long seen = 0, failed = 0;
    signal(SIGTERM, SIG_IGN);
    struct sigaction action = {.sa_handler = activate};
    sigaction(SIGUSR1, &action, NULL);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGTERM, SIG_DFL);
        signal(SIGUSR1, SIG_DFL);
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        close(9);
        execvp(argv[5], argv + 5);
        _exit(127);
    }
    int status;
    if (waitpid(child, &status, 0) != child) return 125;
    long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    if (ptrace(PTRACE_SETOPTIONS, child, 0, options) != 0) return 125;
    ptrace(PTRACE_SYSCALL, child, 0, 0);
    int code = 125;
    for (;;) {
        pid_t thread = waitpid(-1, &status, __WALL);
        if (thread < 0) {
            if (errno == EINTR) continue;
            break;
        }
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            state[thread & ((1 << 22) - 1)] = 0;
            if (thread == child) {
                code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
                break;
            }
            continue;
        }
        long pass = 0;
        unsigned char *mark = &state[thread & ((1 << 22) - 1)];
        if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
            struct user_regs_struct regs;
            if (ptrace(PTRACE_GETREGS, thread, 0, &regs) == 0) {
                if (*mark == 0) {
                    *mark = 1;
                    if (active && (long)regs.orig_rax == call) {
                        seen++;
                        if (every == 0 ? seen == 1 : seen % every == 0) {
                            *mark = 2;
                            failed++;
                            regs.orig_rax = SYS_getpid;
                            ptrace(PTRACE_SETREGS, thread, 0, &regs);
                        }
                    }
                } else {
                    if (*mark == 2) {
                        regs.rax = (unsigned long long)-error;
                        ptrace(PTRACE_SETREGS, thread, 0, &regs);
                    }
                    *mark = 0;
                }
            }
        } else if (status >> 16) {
            /* A clone or an exec: the stop of a new thread follows. */
        } else if (WSTOPSIG(status) != SIGSTOP && WSTOPSIG(status) != SIGTRAP) {
            pass = WSTOPSIG(status);
        }
        ptrace(PTRACE_SYSCALL, thread, 0, pass);
    }
    dprintf(9, "%ld\n", failed);
    return code;
}
