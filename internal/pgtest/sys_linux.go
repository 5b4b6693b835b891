package pgtest

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// attributes makes a process run as user. A deadly process is sent SIGQUIT,
// PostgreSQL's immediate shutdown, when the thread that started it ends.
func attributes(user *account, deadly bool) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if user != nil {
		attr.Credential = &syscall.Credential{Uid: uint32(user.UID), Gid: uint32(user.GID)}
	}
	if deadly {
		attr.Pdeathsig = syscall.SIGQUIT
	}
	return attr
}

// killTree ends a postmaster and its backends at once, and returns the numbers of
// the backends. The stopped postmaster cannot start more of them, nor reap one
// and so free its number for another process.
func killTree(postmaster *os.Process) ([]int, error) {
	if err := postmaster.Signal(syscall.SIGSTOP); err != nil {
		return nil, err
	}
	backends := children(postmaster.Pid)
	for _, pid := range backends {
		_ = syscall.Kill(pid, syscall.SIGKILL) // one that has ended needs no more
	}
	return backends, postmaster.Kill()
}

// children lists the processes whose parent is pid.
func children(pid int) []int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	var found []int
	for _, path := range stats {
		child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if state, parent := readStat(child); state != "" && parent == pid {
			found = append(found, child)
		}
	}
	return found
}

// alive reports whether pid runs. A zombie does not.
func alive(pid int) bool {
	state, _ := readStat(pid)
	return state != "" && state != "Z" && state != "X"
}

// readStat returns a process's state letter and parent, or "" when it is gone.
// The name, in parentheses, may hold spaces and parentheses itself.
func readStat(pid int) (state string, parent int) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", 0
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 2 {
		return "", 0
	}
	parent, _ = strconv.Atoi(fields[1])
	return fields[0], parent
}

// dropSharedMemory removes the System V segment with this number, which a killed
// server leaves behind.
func dropSharedMemory(id int) {
	const remove = 0 // IPC_RMID
	_, _, _ = syscall.Syscall(syscall.SYS_SHMCTL, uintptr(id), remove, 0)
}

// lock takes the lock at path until the returned file is closed or the process
// ends. It returns nil when another process has it.
func lock(path string) *os.File {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil
	}
	return file
}
