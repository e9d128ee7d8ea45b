//go:build !purego

#include "textflag.h"

// Adds up the eight lanes of Y0 into X0.
#define SUM \
	VEXTRACTF128 $1, Y0, X1; \
	VADDPS       X1, X0, X0; \
	VMOVHLPS     X0, X0, X1; \
	VADDPS       X1, X0, X0; \
	VMOVSHDUP    X0, X1;     \
	VADDSS       X1, X0, X0

// func stepAVX2(dst, src, bank *float32, n, taps, row, rows, whole, part int)
TEXT ·stepAVX2(SB), NOSPLIT, $0-72
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ bank+16(FP), R8
	MOVQ n+24(FP), CX
	MOVQ taps+32(FP), R9
	MOVQ row+40(FP), R10
	MOVQ rows+48(FP), R11
	MOVQ whole+56(FP), R12
	MOVQ part+64(FP), R13

	// Rows and samples become bytes: R9 a row, R10 the row's place in the
	// bank, R11 the size of the bank, R12 and R13 the two parts of the step.
	SHLQ  $2, R9
	IMULQ R9, R10
	IMULQ R9, R11
	SHLQ  $2, R12
	IMULQ R9, R13

stepSample:
	LEAQ   (R8)(R10*1), DX
	MOVQ   SI, BX
	MOVQ   R9, AX
	VXORPS Y0, Y0, Y0
	VXORPS Y2, Y2, Y2
	SUBQ   $128, AX
	JL     stepRest
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4

step32:
	VMOVUPS     (BX), Y5
	VMOVUPS     32(BX), Y6
	VMOVUPS     64(BX), Y7
	VMOVUPS     96(BX), Y8
	VFMADD231PS (DX), Y5, Y0
	VFMADD231PS 32(DX), Y6, Y2
	VFMADD231PS 64(DX), Y7, Y3
	VFMADD231PS 96(DX), Y8, Y4
	ADDQ        $128, BX
	ADDQ        $128, DX
	SUBQ        $128, AX
	JGE         step32
	VADDPS      Y3, Y0, Y0
	VADDPS      Y4, Y2, Y2

stepRest:
	ADDQ $128, AX
	SUBQ $32, AX
	JL   stepFour

step8:
	VMOVUPS     (BX), Y5
	VFMADD231PS (DX), Y5, Y0
	ADDQ        $32, BX
	ADDQ        $32, DX
	SUBQ        $32, AX
	JGE         step8

stepFour:
	ADDQ        $32, AX
	JZ          stepSum
	VMOVUPS     (BX), X5
	VMOVUPS     (DX), X6
	VFMADD231PS Y6, Y5, Y2

stepSum:
	VADDPS Y2, Y0, Y0
	SUM
	VMOVSS X0, (DI)
	ADDQ   $4, DI
	ADDQ   R12, SI
	ADDQ   R13, R10
	CMPQ   R10, R11
	JLT    stepNext
	SUBQ   R11, R10
	ADDQ   $4, SI

stepNext:
	DECQ CX
	JNZ  stepSample
	VZEROUPPER
	RET

// func slideAVX2(dst, src, bank *float32, n, taps int, pos, step uint64, rowBits uint)
TEXT ·slideAVX2(SB), NOSPLIT, $0-64
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ bank+16(FP), R8
	MOVQ n+24(FP), R14
	MOVQ taps+32(FP), R9
	MOVQ pos+40(FP), R10
	MOVQ step+48(FP), R11
	MOVQ rowBits+56(FP), R12

	// CX is how far the row's number is above bit 0 of the position, X9 the
	// weight of the lowest bit of the 24 below it.
	MOVQ    $48, CX
	SUBQ    R12, CX
	SHLQ    $2, R9
	MOVL    $0x33800000, AX // 2^-24
	VMOVD   AX, X9

slideSample:
	MOVQ R10, BX
	SHRQ $48, BX
	LEAQ (SI)(BX*4), BX

	MOVQ  R10, DX
	SHLQ  $16, DX
	SHRQ  $16, DX
	MOVQ  DX, R13
	SHRQ  CX, DX           // row
	IMULQ R9, DX
	ADDQ  R8, DX           // its weights
	LEAQ  (DX)(R9*1), R15  // the next row's

	// The bits below the row, moved up to bit 47, and the highest 24 of them.
	XCHGQ R12, CX
	SHLQ  CX, R13
	XCHGQ R12, CX
	SHLQ  $16, R13
	SHRQ  $40, R13
	VXORPS     X8, X8, X8
	VCVTSI2SSL R13, X8, X8
	VMULSS     X9, X8, X8

	MOVQ   R9, AX
	VXORPS Y0, Y0, Y0
	VXORPS Y2, Y2, Y2
	SUBQ   $32, AX
	JL     slideFour

slide8:
	VMOVUPS     (BX), Y5
	VFMADD231PS (DX), Y5, Y0
	VFMADD231PS (R15), Y5, Y2
	ADDQ        $32, BX
	ADDQ        $32, DX
	ADDQ        $32, R15
	SUBQ        $32, AX
	JGE         slide8

slideFour:
	ADDQ        $32, AX
	JZ          slideSum
	VMOVUPS     (BX), X5
	VMOVUPS     (DX), X6
	VMOVUPS     (R15), X7
	VFMADD231PS Y6, Y5, Y0
	VFMADD231PS Y7, Y5, Y2

slideSum:
	VSUBPS       Y0, Y2, Y2
	VBROADCASTSS X8, Y8
	VFMADD231PS  Y8, Y2, Y0
	SUM
	VMOVSS X0, (DI)
	ADDQ   $4, DI
	ADDQ   R11, R10
	DECQ   R14
	JNZ    slideSample
	VZEROUPPER
	RET

// func widenAVX2(dst *float32, src *int16, n int)
TEXT ·widenAVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX

widen8:
	VPMOVSXWD (SI), Y0
	VCVTDQ2PS Y0, Y0
	VMOVUPS   Y0, (DI)
	ADDQ      $16, SI
	ADDQ      $32, DI
	SUBQ      $8, CX
	JNZ       widen8
	VZEROUPPER
	RET

// func narrowAVX2(dst *int16, src *float32, n int)
TEXT ·narrowAVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX

narrow8:
	VCVTPS2DQ    (SI), Y0 // halves to even
	VEXTRACTI128 $1, Y0, X1
	VPACKSSDW    X1, X0, X0
	VMOVDQU      X0, (DI)
	ADDQ         $32, SI
	ADDQ         $16, DI
	SUBQ         $8, CX
	JNZ          narrow8
	VZEROUPPER
	RET
