package httpapi

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// refuse drops the first packet of every new connection, so that none is in the queue when l is closed: the kernel resets
// those that are, and whoever had sent a request on one cannot know whether it was heard. The packet is sent again
// a second later, when the port is closed, and then nobody doubts that the connection was refused. It needs no right.
// Where it fails, as it does for listeners of Multipath TCP, what is left is the moment between the last connection that
// is accepted and the end.
func refuse(l net.Listener) {
	conn, ok := l.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	const (
		flags    = 13    // offset of the flags in a TCP header
		syn, ack = 2, 16 // SYN without ACK asks for a connection
		whole    = 1 << 18
	)
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flags},
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: syn | ack},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: syn, Jt: 0, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: whole},
	}
	_ = raw.Control(func(fd uintptr) {
		program := &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
		_ = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, program)
	})
}
