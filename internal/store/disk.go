package store

import (
	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
	"github.com/ncruces/go-sqlite3/vfs/adiantum"
)

// encryptedVFS is how SQLite reaches the file: its own operating system layer,
// then disk, then the encryption.
const encryptedVFS = "demes"

func init() { vfs.Register(encryptedVFS, adiantum.Wrap(disk{vfs.Find("")}, nil)) }

// disk tells a full disk from a broken one. The layer below calls both an I/O
// error, and what the system said is gone by the time SQLite has rolled back.
type disk struct{ vfs.VFS }

// OpenFilename implements vfs.VFSFilename.
func (d disk) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	file, flags, err := vfsutil.WrapOpenFilename(d.VFS, name, flags)
	if err != nil {
		return nil, flags, nameFull(err)
	}
	return diskFile{file}, flags, nil
}

// diskFile forwards what the layer below can do beyond vfs.File and SQLite asks
// for in this package's use.
type diskFile struct{ vfs.File }

var (
	_ vfs.FileSharedMemory = diskFile{}
	_ vfs.FileSizeHint     = diskFile{}
	_ vfs.FileHasMoved     = diskFile{}
	_ vfs.FileLockState    = diskFile{}
	_ vfs.FileUnwrap       = diskFile{}
)

func (f diskFile) WriteAt(p []byte, offset int64) (int, error) {
	n, err := f.File.WriteAt(p, offset)
	return n, nameFull(err)
}

func (f diskFile) Sync(flags vfs.SyncFlag) error  { return nameFull(f.File.Sync(flags)) }
func (f diskFile) Truncate(size int64) error      { return nameFull(f.File.Truncate(size)) }
func (f diskFile) SizeHint(size int64) error      { return nameFull(vfsutil.WrapSizeHint(f.File, size)) }
func (f diskFile) SharedMemory() vfs.SharedMemory { return vfsutil.WrapSharedMemory(f.File) }
func (f diskFile) HasMoved() (bool, error)        { return vfsutil.WrapHasMoved(f.File) }
func (f diskFile) LockState() vfs.LockLevel       { return vfsutil.WrapLockState(f.File) }
func (f diskFile) Unwrap() vfs.File               { return f.File }

func nameFull(err error) error {
	if err != nil && isDiskFull(err) {
		return sqlite3.FULL
	}
	return err
}
