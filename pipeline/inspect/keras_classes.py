"""Which objects a Keras configuration may name: those that plain models are made of. Everything else is refused by name.

A list of what is allowed and not of what is known to harm, since Keras 2 imports any module a configuration names and takes
anything in it (`serialization_lib._retrieve_class_or_fn`), and either Keras offers functions that fetch, unpack or unpickle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from edgepipe.errors import ModelFileError
from edgepipe.pipeline.inspect.keras_modules import own_reason

DEEPEST_CONFIG = 100


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LAYERS = _words("""
    AbstractRNNCell Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
    AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add AdditiveAttention AlphaDropout Attention AugMix
    AutoContrast Average AveragePooling1D AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D AvgPool3D BatchNormalization
    Bidirectional CategoryEncoding CenterCrop Concatenate Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose
    ConvLSTM1D ContrastLimitedAdaptiveHistogramEqualization ConvLSTM2D ConvLSTM3D Convolution1D Convolution1DTranspose
    Convolution2D Convolution2DTranspose Convolution3D Convolution3DTranspose Cropping1D Cropping2D Cropping3D CutMix Dense
    DepthwiseConv1D DepthwiseConv2D Discretization Dot Dropout ELU EinsumDense Embedding Equalization Flatten GRU GRUCell
    GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalAvgPool1D
    GlobalAvgPool2D GlobalAvgPool3D GlobalMaxPool1D GlobalMaxPool2D GlobalMaxPool3D GlobalMaxPooling1D GlobalMaxPooling2D
    GlobalMaxPooling3D GroupNormalization GroupQueryAttention GroupedQueryAttention HashedCrossing Hashing Identity InputLayer
    InputSpec LSTM LSTMCell LayerNormalization LeakyReLU LocallyConnected1D LocallyConnected2D Masking MaxNumBoundingBoxes
    MaxPool1D MaxPool2D MaxPool3D MaxPooling1D MaxPooling2D MaxPooling3D Maximum MelSpectrogram Minimum MixUp MultiHeadAttention
    Multiply Normalization PReLU Permute Pipeline RMSNormalization RNN RandAugment RandomBrightness RandomColorDegeneration
    RandomColorJitter RandomContrast RandomCrop RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur
    RandomGrayscale RandomHeight RandomHue RandomInvert RandomPerspective RandomPosterization RandomRotation RandomSaturation
    RandomSharpness RandomShear RandomTranslation RandomWidth RandomZoom ReLU RepeatVector Rescaling Reshape Resizing
    ReversibleEmbedding STFTSpectrogram SeparableConv1D SeparableConv2D SeparableConvolution1D SeparableConvolution2D SimpleRNN
    SimpleRNNCell Softmax Solarization SpatialDropout1D SpatialDropout2D SpatialDropout3D SpectralNormalization StackedRNNCells
    Subtract ThresholdedReLU TimeDistributed UnitNormalization UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D
    ZeroPadding2D ZeroPadding3D
    """)
# Layers of Keras that are left out above, and why. The tests hold both lists against the installed Keras.
REFUSED_LAYERS = {
    "Lambda": "a Lambda holds Python code",
    "__lambda__": "a Lambda holds Python code",
    "TFSMLayer": "a TFSMLayer runs a foreign graph",
    "TorchModuleWrapper": "a TorchModuleWrapper unpickles Python objects",
    "JaxLayer": "a JaxLayer holds Python code",
    "FlaxLayer": "a FlaxLayer holds Python code",
    "StringLookup": "a StringLookup may read a file of words",
    "IntegerLookup": "an IntegerLookup may read a file of words",
    "TextVectorization": "a TextVectorization may read a file of words",
    "DenseFeatures": "DenseFeatures is made of feature columns, which may read files",
    "TensorFlowOpLayer": "a TensorFlowOpLayer holds any TensorFlow operation",
    "Layer": "a Layer of its own has code of its own",
    "Wrapper": "a Wrapper of its own has code of its own",
}
INITIALIZERS = _words("""
    Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer LecunNormal LecunUniform Ones Orthogonal
    OrthogonalInitializer RandomNormal RandomUniform STFT STFTInitializer TruncatedNormal VarianceScaling Zeros
    """)
REGULARIZERS = _words("L1 L1L2 L2 OrthogonalRegularizer")
CONSTRAINTS = _words("MaxNorm MinMaxNorm NonNeg RadialConstraint UnitNorm")
OPTIMIZERS = _words(
    "Adadelta Adafactor Adagrad Adam AdamW Adamax Ftrl Lamb Lion LossScaleOptimizer Muon Nadam RMSprop SGD ScheduleFreeAdamW"
)
SCHEDULES = _words("CosineDecay CosineDecayRestarts ExponentialDecay InverseTimeDecay PiecewiseConstantDecay PolynomialDecay")
LOSSES = _words("""
    BinaryCrossentropy BinaryFocalCrossentropy CTC CategoricalCrossentropy CategoricalFocalCrossentropy
    CategoricalGeneralizedCrossEntropy CategoricalHinge Circle CosineSimilarity Dice Hinge Huber KLD KLDivergence LogCosh MAE
    MAPE MSE MSLE MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError Poisson
    SparseCategoricalCrossentropy SquaredHinge Tversky
    """)
METRICS = LOSSES | _words("""
    AUC Accuracy BinaryAccuracy BinaryIoU CategoricalAccuracy ConcordanceCorrelation F1Score FBetaScore FalseNegatives
    FalsePositives IoU LogCoshError Mean MeanIoU MeanMetricWrapper MeanRelativeError MeanTensor OneHotIoU OneHotMeanIoU
    PearsonCorrelation Precision PrecisionAtRecall R2Score Recall RecallAtPrecision RootMeanSquaredError
    SensitivityAtSpecificity SparseCategoricalAccuracy SparseTopKCategoricalAccuracy SpecificityAtSensitivity Sum
    TopKCategoricalAccuracy TrueNegatives TruePositives
    """)
POLICIES = _words("DTypePolicy DTypePolicyMap FloatDTypePolicy QuantizedDTypePolicy QuantizedFloat8DTypePolicy Policy")
FUNCTIONS = _words("""
    celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear log_sigmoid
    log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softmax_v2 softplus softsign sparse_plus sparse_sigmoid
    sparsemax squareplus swish tanh tanh_shrink threshold binary_crossentropy binary_focal_crossentropy categorical_crossentropy
    categorical_focal_crossentropy categorical_generalized_cross_entropy categorical_hinge circle cosine_similarity ctc dice
    hinge huber kl_divergence kld kullback_leibler_divergence log_cosh logcosh mae mape mean_absolute_error
    mean_absolute_percentage_error mean_squared_error mean_squared_logarithmic_error mse msle poisson
    sparse_categorical_crossentropy squared_hinge tversky accuracy acc crossentropy ce binary_accuracy categorical_accuracy
    concordance_correlation pearson_correlation sparse_categorical_accuracy sparse_top_k_categorical_accuracy
    top_k_categorical_accuracy
    """)

MODELS = frozenset({"Functional", "Sequential"})
FUNCTIONAL = frozenset({"Functional"})
OPERATION_LAYERS = frozenset({"TFOpLambda", "SlicingOpLambda"})
# What follows "keras." or "tf_keras." in a module's name, and what of it may be named.
CLASSES: dict[str, frozenset[str]] = {
    "": MODELS | POLICIES,
    "models": MODELS,
    "layers": LAYERS,
    "initializers": INITIALIZERS,
    "regularizers": REGULARIZERS,
    "constraints": CONSTRAINTS,
    "optimizers": OPTIMIZERS | SCHEDULES,
    "optimizers.legacy": OPTIMIZERS,
    "optimizers.schedules": SCHEDULES,
    "losses": LOSSES,
    "metrics": METRICS,
    "dtype_policies": POLICIES,
    "mixed_precision": POLICIES | {"LossScaleOptimizer"},
    # Private modules, which Keras itself writes where a class has no public name.
    "src.models.functional": FUNCTIONAL,
    "src.models.sequential": frozenset({"Sequential"}),
    "src.engine.functional": FUNCTIONAL,
    "engine.functional": FUNCTIONAL,
    "src.layers.core.tf_op_layer": OPERATION_LAYERS,
    "layers.core.tf_op_layer": OPERATION_LAYERS,
}
FUNCTION_MODULES = frozenset(
    {"builtins", *(f"{root}.{name}" for root in ("keras", "tf_keras") for name in ("activations", "losses", "metrics"))}
)
# Operations of Keras 3 (`keras.ops`) are layers of such modules. Those that take functions are left out.
OPERATIONS = re.compile(r"keras\.src\.ops\.(numpy|nn|math|linalg|image|core)")
OPERATION = re.compile(
    r"(?!(?:AssociativeScan|Cond|CustomGradient|ForiLoop|JVP|Map|Scan|Switch|VectorizedMap|Vectorize|WhileLoop)$)[A-Z]\w*"
)
# Operations of TensorFlow that Keras 2 keeps as TFOpLambda layers: arithmetic, shapes and activations, no files, code or loops.
TENSORFLOW_FUNCTION = re.compile(
    r"(math|nn|linalg|__operators__|signal|bitwise)\.[a-z0-9_]+|image\.(resize|crop_and_resize|pad_to_bounding_box|rgb_to_grayscale)"
    r"|(compat\.v1\.)?(abs|add|argmax|argmin|broadcast_to|cast|clip_by_value|concat|convert_to_tensor|einsum|exp|expand_dims|fill|gather"
    r"|gather_nd|identity|matmul|maximum|minimum|multiply|nn\.[a-z0-9_]+|norm|one_hot|ones_like|ones|pad|pow|range|rank|repeat|reshape"
    r"|reverse|roll|round|shape|sigmoid|sign|size|slice|split|sqrt|square|squeeze|stack|stop_gradient|strided_slice|subtract|tanh"
    r"|tensordot|tile|transpose|unstack|where|zeros_like|zeros|reduce_[a-z0-9_]+)"
)
VALUES = _words("__keras_tensor__ __slice__ __tuple__ __tensor__ __numpy__ __ellipsis__ __bytes__ slice")
# The cell inside a ConvLSTM has no public name and no configuration of its own.
METADATA_VALUES = frozenset({"TensorShape", "TypeSpec", "InputSpec", "ConvLSTMCell", "__tuple__", "__ellipsis__", "__bytes__"})
EVERY_CLASS = frozenset().union(*CLASSES.values())
NAMED_FUNCTIONS = frozenset({"activation", "recurrent_activation", "fn"})


def objections(
    config: object, *, values: frozenset[str] = VALUES, owner: str = "the model", modules: frozenset[str] = frozenset()
) -> Iterator[str]:
    """Yield one line for each object in a configuration that no plain model has, naming its layer.

    `values` are names that stand for plain values; what stands in no layer is said of `owner`; `modules` are those of
    the user's own that are allowed. Raises ModelFileError for a configuration nested too deep.
    """
    pending: list[tuple[object, str, int]] = [(config, owner, 0)]
    while pending:
        node, owner, depth = pending.pop()
        if depth > DEEPEST_CONFIG:
            raise ModelFileError(
                f"the model's configuration is nested more than {DEEPEST_CONFIG} deep", cause="it is not Keras's own"
            )
        children: list[object] = []
        if isinstance(node, dict):
            settings = node.get("config")
            name = settings.get("name") if isinstance(settings, dict) else None
            owner = f'layer "{name:.80}"' if isinstance(name, str) and depth else owner
            yield from (printable(f"{owner}: {reason}") for reason in _reasons(node, values, modules))
            children = list(node.values())
        elif isinstance(node, list):
            children = node
        pending += [(child, owner, depth + 1) for child in reversed(children)]


def printable(text: str) -> str:
    """Return text from a model without what a terminal would obey."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _reasons(node: dict[str, Any], values: frozenset[str], modules: frozenset[str]) -> Iterator[str]:
    if "class_name" in node and (reason := _object_reason(node, values, modules)):
        yield reason
    for key, value in node.items():
        if key in NAMED_FUNCTIONS and isinstance(value, str) and value not in FUNCTIONS:
            yield f"{key} {value!r:.80} is not a function of Keras"
        elif key in ("compile_config", "training_config") and isinstance(value, dict):
            for part in ("loss", "metrics", "weighted_metrics"):
                for name in _names(value.get(part)):
                    if name not in FUNCTIONS | METRICS:
                        yield f"{part} {name!r:.80} is not one of Keras"


def _object_reason(node: dict[str, Any], values: frozenset[str], modules: frozenset[str]) -> str:
    """Return why this object is not part of a plain model, or nothing."""
    kind, module, registered = node["class_name"], node.get("module"), node.get("registered_name")
    if not isinstance(kind, str) or not isinstance(module, str | None):
        return f"its class is {kind!r:.80} of {module!r:.80}, which are not names"
    if kind in REFUSED_LAYERS:
        return REFUSED_LAYERS[kind]
    if module in modules:
        if kind in EVERY_CLASS or (kind == "function" and str(node.get("config")) in FUNCTIONS):
            return f"{kind} of {module} has a name of Keras's own, which Keras would load instead: rename it"
        return own_reason(kind, module, node.get("config"), registered)
    if kind == "function":
        return _function_reason(module, node.get("config"), registered)
    if registered not in (None, kind):
        return f"{kind:.80} is a class of your own ({registered!r:.80})"
    if kind in OPERATION_LAYERS:
        settings = node.get("config")
        function = settings.get("function") if isinstance(settings, dict) else None
        if not isinstance(function, str) or not TENSORFLOW_FUNCTION.fullmatch(function):
            return f"the TensorFlow function {function!r:.80} is not one that only computes"
    if module is None:
        known = kind in values or kind.removeprefix("Custom>") in EVERY_CLASS
        return "" if known else f"{kind:.80} is a class of your own"
    return _class_reason(module, kind)


def _class_reason(module: str, kind: str) -> str:
    root, _, rest = module.partition(".")
    if module == "builtins" and kind == "slice":
        return ""
    if root not in ("keras", "tf_keras"):
        return f"{kind:.80} comes from the module {module!r:.80}"
    if kind in CLASSES.get(rest, ()) or (OPERATIONS.fullmatch(module) and OPERATION.fullmatch(kind)):
        return ""
    return f"{module:.80}.{kind:.80} is not part of a plain model"


def _function_reason(module: str | None, name: object, registered: object) -> str:
    if module not in FUNCTION_MODULES:
        return f"the function {name!r:.80} comes from the module {module!r:.80}"
    if name not in FUNCTIONS if isinstance(name, str) else True:
        return f"the function {name!r:.80} is not one of Keras's activations, losses and metrics"
    return "" if registered in (None, name, "function") else f"the function {name!r:.80} is one of your own ({registered!r:.80})"


def _names(value: object) -> Iterator[str]:
    """Yield the names in a compiled model's losses or metrics: a name, or a list or map of names and objects."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _names(item)
    elif isinstance(value, dict) and "class_name" not in value:
        for item in value.values():
            yield from _names(item)
