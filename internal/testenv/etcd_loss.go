package testenv

import "os"

// RestartEmpty starts the server as a new one, on the same ports and with the same arguments, as after the loss of its
// disk.
func (s *EtcdServer) RestartEmpty() {
	s.t.Helper()
	s.Kill()
	*s.dataDir() = s.t.TempDir()
	s.Restart()
}

// Backup stops the server for a moment to copy its data, for RestartFrom.
func (s *EtcdServer) Backup() (dir string) {
	s.t.Helper()
	s.Kill()
	dir = s.copyData(*s.dataDir())
	s.Restart()
	return dir
}

// RestartFrom starts the server with the data of a backup, which can be used again.
func (s *EtcdServer) RestartFrom(dir string) {
	s.t.Helper()
	s.Kill()
	*s.dataDir() = s.copyData(dir)
	s.Restart()
}

func (s *EtcdServer) copyData(from string) (to string) {
	s.t.Helper()
	to = s.t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		s.t.Fatalf("copying the data of etcd: %v", err)
	}
	return to
}

// dataDir is where the server's arguments name the folder of its data.
func (s *EtcdServer) dataDir() *string {
	for i, arg := range s.args {
		if arg == "--data-dir" {
			return &s.args[i+1]
		}
	}
	panic("etcd is always started with --data-dir")
}
