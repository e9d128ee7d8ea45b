package audio

// AppendMono appends to dst the average of the two channels of stereo, which
// must not overlap with it. Half a sample at the end is ignored.
func AppendMono(dst, stereo []int16) []int16 {
	for len(stereo) >= 2 {
		dst = append(dst, int16((int32(stereo[0])+int32(stereo[1]))>>1))
		stereo = stereo[2:]
	}
	return dst
}

// AppendStereo appends to dst each sample of mono twice, for left and right. The
// two must not overlap.
func AppendStereo(dst, mono []int16) []int16 {
	for _, v := range mono {
		dst = append(dst, v, v)
	}
	return dst
}
