package vpx

import "structs"

// The structures of libvpx 1.11 to 1.16 as they lie in memory where longs and
// pointers have 64 bits. Newer versions have added members only behind those
// that are named here.

// Versions of the interface. That of the encoder counts changes of parts that
// are not used here too: 1.11 and 1.12, 1.13, 1.14, 1.15.0, 1.15.1, 1.16.
const decoderABI = 12

var encoderABIs = [...]uintptr{25, 30, 34, 36, 37, 39}

// Values of vpx_codec_err_t.
const (
	abiMismatch      = 3
	invalidParameter = 8
)

// codecContext is a vpx_codec_ctx_t, which has 56 bytes, and some more.
type codecContext [16]uintptr

// decoderSettings is a vpx_codec_dec_cfg_t.
type decoderSettings struct {
	_ structs.HostLayout

	threads, width, height uint32
}

// encoderSettings is a vpx_codec_enc_cfg_t, which has 504 bytes, and some more.
type encoderSettings struct {
	_ structs.HostLayout

	usage, threads, profile      uint32
	width, height                uint32
	bitDepth, inputBitDepth      uint32
	timebaseNum, timebaseDen     int32
	errorResilient               uint32
	pass, lag                    uint32
	dropThreshold, resizeAllowed uint32
	scaledWidth, scaledHeight    uint32
	resizeUp, resizeDown         uint32
	endUsage                     uint32
	_                            uint32
	stats, blockStats            [2]uintptr
	targetBitrate                uint32 // kb/s
	minQuantizer, maxQuantizer   uint32
	undershoot, overshoot        uint32 // per cent
	buffer, bufferInitial        uint32 // ms
	bufferOptimal                uint32
	twoPass                      [4]uint32
	keyMode, keyMin, keyMax      uint32
	spatialLayers                uint32
	spatial                      [10]uint32
	temporalLayers               uint32
	_                            [457]uint32
}

const (
	constantBitrate = 1 // VPX_CBR
	keyAutomatic    = 1 // VPX_KF_AUTO
	keyDisabled     = 0 // VPX_KF_DISABLED
)

// codecImage is a vpx_image_t.
type codecImage struct {
	_ structs.HostLayout

	format, space, colours     uint32
	width, height, bitDepth    uint32
	shownWidth, shownHeight    uint32
	renderWidth, renderHeight  uint32
	chromaShiftX, chromaShiftY uint32
	planes                     [4]uintptr
	strides                    [4]int32
	bitsPerSample              uint32
	_                          uint32
	user, data                 uintptr
	dataOwner, selfAllocated   int32
	frameBuffer                uintptr
}

// formatI420 is VPX_IMG_FMT_I420: 8 bits, 4:2:0, in the order Y, Cb, Cr.
const formatI420 = 0x102

// codecPacket is the beginning of a vpx_codec_cx_pkt_t that has a frame.
type codecPacket struct {
	_ structs.HostLayout

	kind     uint32
	_        uint32
	data     uintptr
	size     uintptr
	time     int64
	duration uint64
	flags    uint32
}

const (
	packetFrame = 0 // VPX_CODEC_CX_FRAME_PKT
	packetKey   = 1 // VPX_FRAME_IS_KEY
)

// Arguments of vpx_codec_encode.
const (
	encodeKey      = 1 // VPX_EFLAG_FORCE_KF
	encodeRealtime = 1 // VPX_DL_REALTIME
)

// Requests of vpx_codec_control_.
const (
	setSpeed           = 13 // VP8E_SET_CPUUSED
	setStaticThreshold = 17 // VP8E_SET_STATIC_THRESHOLD
	setMaxKeySize      = 26 // VP8E_SET_MAX_INTRA_BITRATE_PCT
	setTileColumns     = 33 // VP9E_SET_TILE_COLUMNS
	setAQMode          = 36 // VP9E_SET_AQ_MODE
	setRowThreads      = 55 // VP9E_SET_ROW_MT
)
