/* recognize MODEL.tflite FILE.wav: prints the probability of each emotion, the most likely first.

   The model takes raw samples at 16 kHz, of any level, and carries its front end and its labels. What is left to do
   around it is to read a WAV file, cut or pad it to the model's window, and call LiteRT. See README.md to build it. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "litert_min.h"

#ifndef DECIMALS
#define DECIMALS 1 /* of the percentages */
#endif

enum { RATE_HZ = 16000 };

typedef struct {
    const char *path;
    unsigned char *bytes;
    size_t size;
} File;

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("recognize: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

static void *allocate(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (memory == NULL) fail("out of memory");
    return memory;
}

static File read_file(const char *path) {
    FILE *stream = fopen(path, "rb");
    if (stream == NULL) fail("%s: cannot be opened", path);
    File file = {path, NULL, 0};
    size_t capacity = 1 << 16, read = 0;
    do {
        file.size += read;
        if (file.bytes == NULL || file.size == capacity) {
            unsigned char *grown = realloc(file.bytes, capacity *= 2);
            if (grown == NULL) fail("%s: does not fit into memory", path);
            file.bytes = grown;
        }
        read = fread(file.bytes + file.size, 1, capacity - file.size, stream);
    } while (read > 0);
    if (ferror(stream)) fail("%s: cannot be read", path);
    fclose(stream);
    return file;
}

/* WAV and zip are little-endian, whatever the processor is. */
static unsigned u16(const unsigned char *bytes) { return bytes[0] | (unsigned)bytes[1] << 8; }
static uint32_t u32(const unsigned char *bytes) { return u16(bytes) | (uint32_t)u16(bytes + 2) << 16; }

/* The samples of a 16-bit PCM mono 16 kHz file, in the window's middle: cut, or padded with zeros, on both sides. */
static void read_window(File wav, float *window, size_t length) {
    if (wav.size < 12 || memcmp(wav.bytes, "RIFF", 4) != 0 || memcmp(wav.bytes + 8, "WAVE", 4) != 0)
        fail("%s: not a WAV file", wav.path);
    const unsigned char *format = NULL, *data = NULL;
    unsigned encoding = 0;
    size_t count = 0;
    for (size_t at = 12; data == NULL && wav.size - at >= 8;) {
        const unsigned char *chunk = wav.bytes + at;
        size_t size = u32(chunk + 4), left = wav.size - at - 8;
        if (size > left) fail("%s: truncated, %zu bytes of a chunk are missing", wav.path, size - left);
        if (memcmp(chunk, "fmt ", 4) == 0 && size >= 16) {
            format = chunk + 8;
            encoding = u16(format);
            if (encoding == 0xfffe && size >= 26) encoding = u16(format + 24); /* the extensible header's */
        } else if (memcmp(chunk, "data", 4) == 0) {
            data = chunk + 8;
            count = size / 2;
        }
        at += 8 + size;
        if (size % 2 == 1 && at < wav.size) at++; /* chunks start at even offsets */
    }
    if (data == NULL || format == NULL) fail("%s: not a WAV file with a format and samples", wav.path);
    unsigned channels = u16(format + 2), bits = u16(format + 14);
    uint32_t rate_hz = u32(format + 4);
    if (encoding != 1 || bits != 16 || channels != 1 || rate_hz != RATE_HZ)
        fail("%s: expected 16-bit PCM (format 1), 1 channel, %d Hz. Received: %u-bit, format %u, %u channels, %lu Hz",
             wav.path, RATE_HZ, bits, encoding, channels, (unsigned long)rate_hz);
    if (count == 0) fail("%s: holds no samples", wav.path);

    size_t skipped = count > length ? (count - length) / 2 : 0;
    size_t padded = count < length ? (length - count) / 2 : 0;
    for (size_t i = 0; i < length; i++) window[i] = 0.0f;
    for (size_t i = 0; i < count && i < length; i++) {
        unsigned sample = u16(data + 2 * (skipped + i));
        window[padded + i] = (float)((int)sample - (sample < 32768 ? 0 : 65536)) / 32768.0f;
    }
}

/* A file of the zip archive at the end of the model, as text. It must be stored, not compressed. */
static char *read_from_archive(File model, const char *name) {
    const unsigned char *bytes = model.bytes;
    /* The last record, 22 bytes and a comment of up to 65,535, tells where the list of files is. */
    size_t end = model.size < 22 ? 0 : model.size - 22;
    while (model.size < 22 || u32(bytes + end) != 0x06054b50 || u16(bytes + end + 20) != model.size - end - 22) {
        if (end == 0 || model.size - end == 22 + 65535) fail("%s: no labels (no archive at its end)", model.path);
        end--;
    }
    size_t list_size = u32(bytes + end + 12), list_offset = u32(bytes + end + 16);
    if (list_size > end || list_offset > end - list_size) fail("%s: its archive is damaged", model.path);
    size_t start = end - list_size - list_offset; /* what the archive's offsets count from */

    size_t name_length = strlen(name);
    for (size_t at = end - list_size; end - at >= 46 && u32(bytes + at) == 0x02014b50;) {
        const unsigned char *entry = bytes + at;
        size_t entry_size = 46 + (size_t)u16(entry + 28) + u16(entry + 30) + u16(entry + 32);
        if (entry_size > end - at) break;
        at += entry_size;
        if (u16(entry + 28) != name_length || memcmp(entry + 46, name, name_length) != 0) continue;

        size_t size = u32(entry + 24), header = u32(entry + 42);
        if (u16(entry + 10) != 0) fail("%s: expected its %s to be stored. Received: compressed", model.path, name);
        if (header > end - start || end - start - header < 30 || u32(bytes + start + header) != 0x04034b50) break;
        header += start;
        size_t text = header + 30 + u16(bytes + header + 26) + u16(bytes + header + 28);
        if (text > end || size > end - text) break;
        return memcpy(allocate(size + 1, 1), bytes + text, size);
    }
    fail("%s: no labels (no whole %s in the archive at its end)", model.path, name);
    return NULL;
}

/* Cuts the text, in place, into one label a line. */
static char **split_labels(const char *path, char *text, size_t classes) {
    char **labels = allocate(classes, sizeof *labels);
    size_t lines = 0;
    for (char *line = strtok(text, "\r\n"); line != NULL; line = strtok(NULL, "\r\n"), lines++)
        if (lines < classes) labels[lines] = line;
    if (lines != classes) fail("%s: expected %zu labels. Received: %zu", path, classes, lines);
    return labels;
}

static void check(LiteRtStatus status, const char *path, const char *message) {
    if (status != kLiteRtStatusOk) fail("%s: %s (LiteRT status %d)", path, message, (int)status);
}

/* The model's only input or output must be float32 [1, n]. Returns n. */
static size_t check_type(const char *path, const char *what, size_t count, const LiteRtRankedTensorType *type) {
    const LiteRtLayout *layout = &type->layout;
    if (count != 1) fail("%s: expected 1 %s. Received: %zu", path, what, count);
    if (type->element_type != kLiteRtElementTypeFloat32)
        fail("%s: expected an %s of float32 (type 1). Received: type %d", path, what, (int)type->element_type);
    if (layout->rank != 2 || layout->dimensions[0] != 1 || layout->dimensions[1] < 1) {
        char shape[8 * 13 + 1] = "";
        for (unsigned i = 0; i < layout->rank && i < 8; i++)
            sprintf(shape + strlen(shape), "%s%ld", i == 0 ? "" : ", ", (long)layout->dimensions[i]);
        fail("%s: expected an %s of shape [1, n]. Received: [%s]", path, what, shape);
    }
    return (size_t)layout->dimensions[1];
}

typedef struct {
    LiteRtEnvironment environment;
    LiteRtModel model;
    LiteRtOptions options;
    LiteRtCompiledModel compiled;
    LiteRtTensorBuffer input, output;
    size_t samples, classes;
} Recognizer;

/* What a device does once. The file's bytes must outlive the recognizer. */
static Recognizer open_recognizer(File file) {
    const char *path = file.path, *not_a_model = "not a model that LiteRT loads", *unfit = "cannot be prepared";
    Recognizer it;
    /* LiteRT keeps to the CPU, looks for no accelerator's library, and leaves the messages to this program. */
    LiteRtEnvOption settings[2];
    memset(settings, 0, sizeof settings);
    settings[0].tag = kLiteRtEnvOptionTagMinLoggerSeverity;
    settings[0].value.type = kLiteRtAnyTypeInt;
    settings[0].value.int_value = kLiteRtLogSeveritySilent;
    settings[1].tag = kLiteRtEnvOptionTagAutoRegisterAccelerators;
    settings[1].value.type = kLiteRtAnyTypeInt;
    settings[1].value.int_value = kLiteRtHwAcceleratorCpu;
    check(LiteRtCreateEnvironment(2, settings, &it.environment), path, "LiteRT cannot be started");
    check(LiteRtCreateModelFromBuffer(it.environment, file.bytes, file.size, &it.model), path, not_a_model);

    LiteRtSignature signature;
    LiteRtTensor input, output;
    LiteRtRankedTensorType input_type, output_type;
    size_t inputs, outputs;
    check(LiteRtGetModelSignature(it.model, 0, &signature), path, "has no signature");
    check(LiteRtGetNumSignatureInputs(signature, &inputs), path, "has no input");
    check(LiteRtGetNumSignatureOutputs(signature, &outputs), path, "has no output");
    check(LiteRtGetSignatureInputTensorByIndex(signature, 0, &input), path, "has no input");
    check(LiteRtGetSignatureOutputTensorByIndex(signature, 0, &output), path, "has no output");
    check(LiteRtGetRankedTensorType(input, &input_type), path, "has an input without a rank");
    check(LiteRtGetRankedTensorType(output, &output_type), path, "has an output without a rank");
    it.samples = check_type(path, "input", inputs, &input_type);
    it.classes = check_type(path, "output", outputs, &output_type);

    LiteRtTensorBufferRequirements input_needs, output_needs;
    check(LiteRtCreateOptions(&it.options), path, unfit);
    check(LiteRtSetOptionsHardwareAccelerators(it.options, kLiteRtHwAcceleratorCpu), path, unfit);
    check(LiteRtCreateCompiledModel(it.environment, it.model, it.options, &it.compiled), path, unfit);
    check(LiteRtGetCompiledModelInputBufferRequirements(it.compiled, 0, 0, &input_needs), path, unfit);
    check(LiteRtGetCompiledModelOutputBufferRequirements(it.compiled, 0, 0, &output_needs), path, unfit);
    check(LiteRtCreateManagedTensorBufferFromRequirements(it.environment, &input_type, input_needs, &it.input), path,
          unfit);
    check(LiteRtCreateManagedTensorBufferFromRequirements(it.environment, &output_type, output_needs, &it.output), path,
          unfit);
    return it;
}

/* What a device does for each window: [samples] to [classes]. */
static void recognize(Recognizer *it, const float *window, float *probabilities) {
    const char *failed = "the model cannot be run";
    void *memory;
    check(LiteRtLockTensorBuffer(it->input, &memory, kLiteRtTensorBufferLockModeWrite), "input", failed);
    memcpy(memory, window, it->samples * sizeof *window);
    check(LiteRtUnlockTensorBuffer(it->input), "input", failed);
    check(LiteRtRunCompiledModel(it->compiled, 0, 1, &it->input, 1, &it->output), "LiteRT", failed);
    check(LiteRtLockTensorBuffer(it->output, &memory, kLiteRtTensorBufferLockModeRead), "output", failed);
    memcpy(probabilities, memory, it->classes * sizeof *probabilities);
    check(LiteRtUnlockTensorBuffer(it->output), "output", failed);
}

static void close_recognizer(Recognizer *it) {
    LiteRtDestroyTensorBuffer(it->output);
    LiteRtDestroyTensorBuffer(it->input);
    LiteRtDestroyCompiledModel(it->compiled);
    LiteRtDestroyOptions(it->options);
    LiteRtDestroyModel(it->model);
    LiteRtDestroyEnvironment(it->environment);
}

int main(int argc, char **argv) {
    if (argc != 3) fail("expected MODEL.tflite FILE.wav. Received: %d arguments", argc - 1);
    File model = read_file(argv[1]), wav = read_file(argv[2]);
    Recognizer recognizer = open_recognizer(model);
    size_t classes = recognizer.classes;
    char *text = read_from_archive(model, "labels.txt");
    char **labels = split_labels(model.path, text, classes);
    float *window = allocate(recognizer.samples, sizeof *window);
    float *probabilities = allocate(classes, sizeof *probabilities);

    read_window(wav, window, recognizer.samples);
    size_t silent = 0;
    while (silent < recognizer.samples && window[silent] == 0.0f) silent++;
    if (silent == recognizer.samples) {
        puts("silence"); /* of which the model would guess something */
        return 0;
    }
    recognize(&recognizer, window, probabilities);
    for (size_t i = 0; i < classes; i++)
        if (!(probabilities[i] >= 0.0f))
            fail("%s: expected probabilities. Received: %g for %s", model.path, probabilities[i], labels[i]);
    for (size_t printed = 0; printed < classes; printed++) {
        size_t best = 0;
        for (size_t i = 1; i < classes; i++)
            if (probabilities[i] > probabilities[best]) best = i;
        printf("%s %.*f %%\n", labels[best], DECIMALS, 100.0 * probabilities[best]);
        probabilities[best] = -1.0f; /* printed */
    }

    close_recognizer(&recognizer);
    free(probabilities);
    free(window);
    free(labels);
    free(text);
    free(wav.bytes);
    free(model.bytes);
    return 0;
}
