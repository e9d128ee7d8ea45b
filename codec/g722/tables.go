package g722

// The tables of ITU-T G.722, clause 6.2, with the signs and the order of the
// codes folded in.

// decisions are the decision levels of the 6-bit quantizer of the lower band
// (Q6), for a scale factor of 1024.
var decisions = [29]uint32{
	35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714,
	786, 858, 940, 1023, 1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
}

// topDecision is the last of the decisions.
const topDecision = 2919

// levels counts the decisions that a difference, divided by the scale factor,
// reaches.
var levels = makeLevels()

func makeLevels() (levels [topDecision + 1]uint8) {
	for v := range levels {
		for _, d := range decisions {
			if uint32(v) >= d {
				levels[v]++
			}
		}
	}
	return levels
}

// lowCodes are the codes of the levels of the lower band, first of negative
// then of positive differences (IL).
var lowCodes = [2][32]uint8{
	{
		63, 62, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19,
		18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4,
	},
	{
		61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47,
		46, 45, 44, 43, 42, 41, 40, 39, 38, 37, 36, 35, 34, 33, 32,
	},
}

// low6 are the differences that the codes of the lower band stand for, for a
// scale factor of 1024 (QQ6). An encoder never makes codes 0 to 3.
var low6 = [64]int32{
	-17, -17, -17, -17, -3101, -2738, -2376, -2088,
	-1873, -1689, -1535, -1399, -1279, -1170, -1072, -982,
	-899, -822, -750, -682, -618, -558, -501, -447,
	-396, -347, -300, -254, -211, -170, -130, -91,
	3101, 2738, 2376, 2088, 1873, 1689, 1535, 1399,
	1279, 1170, 1072, 982, 899, 822, 750, 682,
	618, 558, 501, 447, 396, 347, 300, 254,
	211, 170, 130, 91, 54, 17, -54, -17,
}

// low4 are the same for the upper four bits of the code, from which both ends
// adapt (QQ4), with the steps of the logarithmic scale factor (WL).
var low4 = [16]adaptation{
	{0, -60},
	{-2557, 3042},
	{-1612, 1198},
	{-1121, 538},
	{-786, 334},
	{-530, 172},
	{-323, 58},
	{-150, -30},
	{2557, 3042},
	{1612, 1198},
	{1121, 538},
	{786, 334},
	{530, 172},
	{323, 58},
	{150, -30},
	{0, -60},
}

// high2 are the differences of the upper band (QQ2) and the steps of its
// logarithmic scale factor (WH).
var high2 = [4]adaptation{{-926, 798}, {-202, -214}, {926, 798}, {202, -214}}

type adaptation struct {
	difference int32 // for a scale factor of 1024
	step       int32
}

// highDecision is the decision level of the 2-bit quantizer of the upper band
// (Q2), for a scale factor of 1024.
const highDecision = 564

// lowScale and highScale are the linear scale factors for the upper bits of
// the logarithmic ones, a quarter of DETL and DETH in the Recommendation.
var (
	lowScale  = makeScale(8)
	highScale = makeScale(10)
)

// makeScale computes 2^(i/32 + 11 - shift) from the 32 values that the
// Recommendation has for an octave (ILB). Both bands stay within 512 steps.
func makeScale(shift int) (scale [512]int32) {
	octave := [32]int32{
		2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383,
		2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
		2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371,
		3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
	}
	for i := range scale {
		scale[i] = octave[i%32] << (i / 32) >> shift
	}
	return scale
}
