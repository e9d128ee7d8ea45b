//go:build unix

package vpx

import "github.com/ebitengine/purego"

func open(name string) (uintptr, error) {
	return purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
}

func symbolOf(handle uintptr, name string) (uintptr, error) { return purego.Dlsym(handle, name) }
