package boltfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// ErrDamaged means that the file is not as bbolt has written it. Nothing in it can be relied on: a logout may be missing.
var ErrDamaged = errors.New("the file is damaged")

// bbolt trusts its file. A page that is none ends the process with a fault of memory, at some request, hours later perhaps.
// So all of the structure is read through before the file is used: that no page is missing or is there twice, that each is
// what it should be, and that keys are in order. A change within a value is for the sum to find (see sum.go).

// The layout of a file (bbolt, format 2; numbers are little endian on all that authd is built for):
//
//	page     id 8, flags 2, count 2, overflow 4; then the elements
//	meta     magic 4, version 4, page size 4, flags 4, root 8, sequence 8, free list 8, pages 8, transaction 8, checksum 8
//	branch   position 4, length of the key 4, page 8
//	leaf     flags 4, position 4, length of the key 4, of the value 4
//	bucket   root 8, sequence 8; with root 0 a page follows
const (
	pageHeader, metaLen, elementLen, bucketLen = 16, 64, 16, 16

	branchPage, leafPage, freePage = 0x01, 0x02, 0x10

	magic, formatVersion = 0xED0CDAED, 2

	noFreeList = ^uint64(0)
	maxDepth   = 64 // of pages and buckets in one another; far above what any file has
)

// meta is what a file says of itself.
type meta struct {
	pageSize                    int64
	root, freeList, pages, txid uint64
}

// verify reads a file of this size through. It returns the number of its last transaction.
func verify(file io.ReaderAt, size int64) (txid uint64, err error) {
	m, err := readMeta(file, size)
	if err != nil {
		return 0, err
	}
	if m.pages > uint64(size/m.pageSize) {
		return 0, fmt.Errorf("%w: it was cut off: it has %d bytes of %d", ErrDamaged, size, m.pages*uint64(m.pageSize))
	}
	v := &verification{file: file, meta: m, seen: make([]bool, m.pages)}
	v.seen[0], v.seen[1] = true, true
	if m.freeList != noFreeList {
		if err := v.freePages(m.freeList); err != nil {
			return 0, err
		}
	}
	return m.txid, v.page(m.root, nil, nil, 0)
}

// readMeta returns the newer of the two metas that is whole: a power cut may tear the one that is being written.
func readMeta(file io.ReaderAt, size int64) (newest meta, err error) {
	for pageSize := int64(1 << 10); pageSize <= 1<<16; pageSize <<= 1 {
		for _, at := range []int64{0, pageSize} {
			if m, ok := metaAt(file, at); ok && m.pageSize == pageSize && (newest.pageSize == 0 || m.txid > newest.txid) {
				newest = m
			}
		}
		if newest.pageSize != 0 {
			break
		}
	}
	if newest.pageSize == 0 || newest.pages < 2 || newest.pages > uint64(1)<<40 {
		return meta{}, fmt.Errorf("%w: neither of its heads is one, in %d bytes", ErrDamaged, size)
	}
	return newest, nil
}

func metaAt(file io.ReaderAt, at int64) (m meta, ok bool) {
	b := make([]byte, metaLen)
	if _, err := file.ReadAt(b, at+pageHeader); err != nil {
		return meta{}, false
	}
	sum := fnv.New64a()
	sum.Write(b[:metaLen-8]) // never fails
	le := binary.LittleEndian
	return meta{
		pageSize: int64(le.Uint32(b[8:])), root: le.Uint64(b[16:]), freeList: le.Uint64(b[32:]), pages: le.Uint64(b[40:]), txid: le.Uint64(b[48:]),
	}, le.Uint32(b) == magic && le.Uint32(b[4:]) == formatVersion && le.Uint64(b[56:]) == sum.Sum64()
}

// verification is one reading of a file.
type verification struct {
	file io.ReaderAt
	meta
	seen []bool // by page: it is in use, or free
}

// read returns a page with what it extends over, and takes note of it.
func (v *verification) read(id uint64) (page []byte, err error) {
	if id < 2 || id >= v.pages {
		return nil, damage(id, "there is no such page")
	}
	page = make([]byte, v.pageSize)
	if _, err := v.file.ReadAt(page, int64(id)*v.pageSize); err != nil {
		return nil, fmt.Errorf("reading page %d: %w", id, err)
	}
	overflow := uint64(binary.LittleEndian.Uint32(page[12:]))
	if binary.LittleEndian.Uint64(page) != id || id+overflow >= v.pages {
		return nil, damage(id, "another page is in its place")
	}
	for i := id; i <= id+overflow; i++ {
		if v.seen[i] {
			return nil, damage(i, "it is used twice")
		}
		v.seen[i] = true
	}
	if overflow > 0 {
		page = append(page, make([]byte, int64(overflow)*v.pageSize)...)
		if _, err := v.file.ReadAt(page[v.pageSize:], int64(id+1)*v.pageSize); err != nil {
			return nil, fmt.Errorf("reading page %d: %w", id, err)
		}
	}
	return page, nil
}

func damage(id uint64, what string) error { return fmt.Errorf("%w: page %d: %s", ErrDamaged, id, what) }

// freePages takes note of the pages that the free list names.
func (v *verification) freePages(id uint64) error {
	page, err := v.read(id)
	if err != nil {
		return err
	}
	flags, count := header(page)
	list := page[pageHeader:]
	if count == 0xFFFF { // the number does not fit there
		count, list = binary.LittleEndian.Uint64(list), list[8:]
	}
	if flags != freePage || count > uint64(len(list)/8) {
		return damage(id, "it is not the list of free pages")
	}
	for i := range count {
		free := binary.LittleEndian.Uint64(list[8*i:])
		if free < 2 || free >= v.pages || v.seen[free] {
			return damage(id, fmt.Sprintf("it says that page %d is free", free))
		}
		v.seen[free] = true
	}
	return nil
}

func header(page []byte) (flags uint16, count uint64) {
	return binary.LittleEndian.Uint16(page[8:]), uint64(binary.LittleEndian.Uint16(page[10:]))
}

// page reads a page and all below it. Its keys are from low on and before high; nil for no bound.
func (v *verification) page(id uint64, low, high []byte, depth int) error {
	if depth > maxDepth {
		return damage(id, "it is part of itself")
	}
	page, err := v.read(id)
	if err != nil {
		return err
	}
	switch flags, count := header(page); flags {
	case branchPage:
		return v.branch(id, page, count, low, high, depth)
	case leafPage:
		return v.leaf(id, page, count, low, high, depth)
	default:
		return damage(id, fmt.Sprintf("it is of no kind (%#x)", flags))
	}
}

func (v *verification) branch(id uint64, page []byte, count uint64, low, high []byte, depth int) error {
	elements, err := elementsOf(id, page, count)
	if err != nil {
		return err
	}
	for i, e := range elements {
		key, err := e.bytes(id, 4)
		if err != nil {
			return err
		}
		until := high
		if i+1 < len(elements) {
			if until, err = elements[i+1].bytes(id, 4); err != nil {
				return err
			}
		}
		if bytes.Compare(key, low) < 0 || until != nil && bytes.Compare(key, until) >= 0 {
			return damage(id, "its keys are not in order")
		}
		if err := v.page(binary.LittleEndian.Uint64(e.head[8:]), key, until, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (v *verification) leaf(id uint64, page []byte, count uint64, low, high []byte, depth int) error {
	elements, err := elementsOf(id, page, count)
	if err != nil {
		return err
	}
	for _, e := range elements {
		both, err := e.bytes(id, 8, 12)
		if err != nil {
			return err
		}
		keyLen := binary.LittleEndian.Uint32(e.head[8:])
		key, value := both[:keyLen], both[keyLen:]
		if bytes.Compare(key, low) < 0 || high != nil && bytes.Compare(key, high) >= 0 {
			return damage(id, "its keys are not in order")
		}
		low = append(bytes.Clone(key), 0) // the next one is greater
		switch flags := binary.LittleEndian.Uint32(e.head); flags {
		case 0:
		case 1:
			if err := v.bucket(id, value, depth); err != nil {
				return err
			}
		default:
			return damage(id, "an entry of it is of no kind")
		}
	}
	return nil
}

// bucket reads a bucket, of which the value is the head.
func (v *verification) bucket(id uint64, value []byte, depth int) error {
	if len(value) < bucketLen {
		return damage(id, "a bucket of it has no head")
	}
	if root := binary.LittleEndian.Uint64(value); root != 0 {
		return v.page(root, nil, nil, depth+1)
	}
	inline := value[bucketLen:]
	if len(inline) < pageHeader {
		return damage(id, "a small bucket of it is cut off")
	}
	flags, count := header(inline)
	if flags != leafPage || depth > maxDepth {
		return damage(id, "a small bucket of it is of no kind")
	}
	return v.leaf(id, inline, count, nil, nil, depth+1)
}

// element is an entry of a page: its head, and all from there on, from where it counts.
type element struct{ head, rest []byte }

func elementsOf(id uint64, page []byte, count uint64) ([]element, error) {
	if uint64(len(page)-pageHeader)/elementLen < count {
		return nil, damage(id, "it has not so many entries")
	}
	list := make([]element, count)
	for i := range list {
		at := pageHeader + i*elementLen
		list[i] = element{page[at : at+elementLen], page[at:]}
	}
	return list, nil
}

// bytes returns what an element refers to: its position stands before the lengths, which stand at these places.
func (e element) bytes(id uint64, lengths ...int) ([]byte, error) {
	from := uint64(binary.LittleEndian.Uint32(e.head[lengths[0]-4:]))
	length := uint64(0)
	for _, at := range lengths {
		length += uint64(binary.LittleEndian.Uint32(e.head[at:]))
	}
	if from+length > uint64(len(e.rest)) {
		return nil, damage(id, "an entry of it lies outside")
	}
	return e.rest[from : from+length], nil
}
