"""TensorFlow's operations, sorted by what they may do to the machine that runs them.

PLAIN_OPS is what Keras's layers, their training functions and their loops are made of: arithmetic, shapes, variables, calls.
What is in none of these tables is unknown here: a custom operation, or one that no plain model has.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PYTHON = "runs Python code"
_READS, _WRITES = "reads files", "writes files"
_NETWORK = "talks to other machines"
_COMPILED = "runs compiled code that this check cannot read"

DANGERS = {
    **dict.fromkeys(("PyFunc", "PyFuncStateless", "EagerPyFunc"), _PYTHON),
    **dict.fromkeys(
        _words("""
    ReadFile MatchingFiles InitializeTableFromTextFile InitializeTableFromTextFileV2 TextLineDataset TFRecordDataset
    TFRecordDatasetV2 FixedLengthRecordDataset FixedLengthRecordDatasetV2 MatchingFilesDataset CSVDataset CSVDatasetV2
    SqlDataset LMDBDataset LoadDataset WholeFileReader WholeFileReaderV2 TextLineReader TextLineReaderV2 TFRecordReader
    TFRecordReaderV2 FixedLengthRecordReader FixedLengthRecordReaderV2 LMDBReader ImmutableConst LoadAndRemapMatrix
    GenerateVocabRemapping Restore RestoreSlice ExperimentalCSVDataset ExperimentalLMDBDataset ExperimentalMatchingFilesDataset
    ExperimentalSqlDataset
    """),
        _READS,
    ),
    **dict.fromkeys(
        _words("""
    WriteFile Save SaveSlices SaveDataset SaveDatasetV2 DatasetToTFRecord ExperimentalDatasetToTFRecord CreateSummaryFileWriter
    CreateSummaryDbWriter SummaryWriter ImportEvent PrintV2 Print DumpTensor DebugIdentityV2 DebugIdentityV3 DistributedSave
    SnapshotDataset SnapshotDatasetV2 CacheDataset CacheDatasetV2 CalibrationStatisticsSaver FileSystemSetConfiguration
    """),
        _WRITES,
    ),
    **dict.fromkeys(
        _words("""
    RpcClient RpcServer RpcServerStart RpcServerRegister RpcCall RemoteCall Send Recv DataServiceDataset DataServiceDatasetV2
    DataServiceDatasetV3 DataServiceDatasetV4 RegisterDataset RegisterDatasetV2
    """),
        _NETWORK,
    ),
    **dict.fromkeys(
        _words("XlaCallModule XlaLaunch XlaLaunchV2 XlaCustomCall XlaCustomCallV2 XlaHostCompute TPUExecute"), _COMPILED
    ),
    "Abort": "ends the process",
}

# Every SavedModel brings them to save and restore its own variables; they read and write whatever file they are told to.
SAVING_OPS = frozenset({"SaveV2", "RestoreV2", "MergeV2Checkpoints"})

PLAIN_OPS = _words("""
    Abs Acos Acosh Add AddN AddV2 AdjustContrastv2 AdjustHue AdjustSaturation All Any ArgMax ArgMin Asin Asinh Assert
    AssignAddVariableOp AssignSubVariableOp AssignVariableOp Atan Atan2 Atanh AvgPool AvgPool3D AvgPool3DGrad AvgPoolGrad
    BatchMatMul BatchMatMulV2 BatchMatMulV3 BatchToSpaceND BiasAdd BiasAddGrad BiasAddV1 Bincount Bitcast BitwiseAnd BitwiseOr
    BitwiseXor BroadcastArgs BroadcastGradientArgs BroadcastTo Bucketize Case Cast Ceil CheckNumerics CheckNumericsV2
    ClipByValue Complex ComplexAbs Concat ConcatOffset ConcatV2 Conj Const ControlTrigger Conv2D Conv2DBackpropFilter
    Conv2DBackpropInput Conv3D Conv3DBackpropFilterV2 Conv3DBackpropInputV2 Cos Cosh CropAndResize CropAndResizeGradBoxes
    CropAndResizeGradImage Cross CudnnRNN CudnnRNNBackprop CudnnRNNBackpropV2 CudnnRNNBackpropV3 CudnnRNNCanonicalToParams
    CudnnRNNParamsSize CudnnRNNV2 CudnnRNNV3 Cumprod Cumsum DataFormatDimMap DataFormatVecPermute DenseBincount DepthToSpace
    DepthwiseConv2dNative DepthwiseConv2dNativeBackpropFilter DepthwiseConv2dNativeBackpropInput DestroyResourceOp Diag DiagPart
    Digamma Dilation2D DisableCopyOnRead Div DivNoNan DynamicPartition DynamicStitch Einsum Elu EluGrad Empty EmptyTensorList
    EnsureShape Equal Erf Erfc Erfinv Exp ExpandDims Expm1 ExtractImagePatches FFT FFT2D FakeParam FakeQuantWithMinMaxArgs
    FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsGradient FakeQuantWithMinMaxVarsPerChannel
    FakeQuantWithMinMaxVarsPerChannelGradient Fill Floor FloorDiv FloorMod FusedBatchNorm FusedBatchNormGrad
    FusedBatchNormGradV2 FusedBatchNormGradV3 FusedBatchNormV2 FusedBatchNormV3 Gather GatherNd GatherV2 Greater GreaterEqual
    GuaranteeConst HSVToRGB IFFT IFFT2D IRFFT IRFFT2D Identity IdentityN If Imag ImageProjectiveTransformV2
    ImageProjectiveTransformV3 InTopK InTopKV2 InplaceAdd InplaceUpdate Inv InvertPermutation IsFinite IsInf IsNan L2Loss LRN
    LeakyRelu LeakyReluGrad LeftShift Less LessEqual Lgamma LinSpace Log Log1p LogSoftmax LogicalAnd LogicalNot LogicalOr
    LowerBound MatMul MatrixBandPart MatrixDiag MatrixDiagV2 MatrixDiagV3 MatrixDiagPartV3 MatrixInverse MatrixSetDiagV3 Max
    MaxPool MaxPool3D MaxPool3DGrad MaxPoolGrad MaxPoolGradV2 MaxPoolV2 MaxPoolWithArgmax Maximum Mean Min Minimum MirrorPad
    MirrorPadGrad Mod Mul MulNoNan Multinomial Neg NoOp NonMaxSuppressionV3 NonMaxSuppressionV4 NonMaxSuppressionV5 NotEqual
    OneHot OnesLike Pack Pad PadV2 ParallelDynamicStitch PartitionedCall Placeholder PlaceholderWithDefault Pow PreventGradient
    Prod QuantizeAndDequantizeV2 QuantizeAndDequantizeV3 QuantizeAndDequantizeV4 RFFT RFFT2D RGBToHSV RandomShuffle
    RandomStandardNormal RandomUniform RandomUniformInt Range Rank ReadVariableOp Real RealDiv Reciprocal Relu Relu6 Relu6Grad
    ReluGrad Reshape ResizeArea ResizeBicubic ResizeBicubicGrad ResizeBilinear ResizeBilinearGrad ResizeNearestNeighbor
    ResizeNearestNeighborGrad ResourceApplyAdaMax ResourceApplyAdadelta ResourceApplyAdagrad ResourceApplyAdagradV2
    ResourceApplyAdam ResourceApplyAdamWithAmsgrad ResourceApplyCenteredRMSProp ResourceApplyFtrl ResourceApplyFtrlV2
    ResourceApplyGradientDescent ResourceApplyKerasMomentum ResourceApplyMomentum ResourceApplyRMSProp ResourceGather
    ResourceScatterAdd ResourceScatterUpdate Reverse ReverseSequence ReverseV2 RightShift Rint RngReadAndSkip Roll Round Rsqrt
    RsqrtGrad ScaleAndTranslate ScatterNd SegmentMax SegmentMean SegmentMin SegmentSum Select SelectV2 Selu SeluGrad Shape
    ShapeN Sigmoid SigmoidGrad Sign Sin Sinh Size Slice Softmax SoftmaxCrossEntropyWithLogits Softplus SoftplusGrad Softsign
    SoftsignGrad SpaceToBatchND SpaceToDepth SparseSoftmaxCrossEntropyWithLogits Split SplitV Sqrt SqrtGrad Square
    SquaredDifference Squeeze StatefulPartitionedCall StatefulStandardNormalV2 StatefulTruncatedNormal StatefulUniform
    StatefulUniformFullInt StatefulUniformInt StatelessCase StatelessIf StatelessRandomGetAlg StatelessRandomGetKeyCounter
    StatelessRandomGetKeyCounterAlg StatelessRandomNormal StatelessRandomNormalV2 StatelessRandomUniform
    StatelessRandomUniformFullInt StatelessRandomUniformFullIntV2 StatelessRandomUniformInt StatelessRandomUniformIntV2
    StatelessRandomUniformV2 StatelessTruncatedNormal StatelessTruncatedNormalV2 StatelessWhile StopGradient StridedSlice
    StridedSliceGrad Sub Sum Switch Tan Tanh TanhGrad TensorListConcat TensorListConcatV2 TensorListElementShape
    TensorListFromTensor TensorListGather TensorListGetItem TensorListLength TensorListPopBack TensorListPushBack
    TensorListReserve TensorListResize TensorListScatter TensorListScatterV2 TensorListSetItem TensorListSplit TensorListStack
    TensorScatterAdd TensorScatterUpdate Tile TopK TopKV2 Transpose TruncateDiv TruncateMod TruncatedNormal Unique Unpack
    UnravelIndex UnsortedSegmentMax UnsortedSegmentMin UnsortedSegmentProd UnsortedSegmentSum UpperBound ShardedFilename
    StaticRegexFullMatch StringJoin VarHandleOp VarIsInitializedOp VariableShape Where While Xdivy Xlog1py Xlogy ZerosLike
    """)
