# The addon for machines without cmake (scripts/install.cjs tries cmake-js first). The same files (native/sources.json)
# and flags as CMakeLists.txt and scripts/direct-build.cjs: change the three together.
{
  "targets": [
    {
      "target_name": "permafrost",
      "sources": [
        "<!@(node -p \"const s=require('./native/sources.json'); [s.core, s.kernels, s.addon].flat().join(' ')\")"
      ],
      "include_dirs": ["native", "<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": [
        "NAPI_VERSION=8",
        "NODE_ADDON_API_CPP_EXCEPTIONS",
        "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS",
        "NDEBUG",
        "PERMAFROST_VERSION=\"<!(node -p \"require('./package.json').version\")\""
      ],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20", "-fno-exceptions", "-fno-rtti", "-O2"],
      "cflags_cc": [
        "-std=c++20", "-O3", "-fexceptions", "-frtti", "-ffp-contract=off", "-fvisibility=hidden",
        "-fvisibility-inlines-hidden", "-pthread", "-Wall", "-Wextra"
      ],
      "ldflags": ["-pthread"],
      "conditions": [
        ["OS!='mac' and OS!='win'", { "ldflags": ["-Wl,-z,nodelete"] }],
        # Node's own flags take exceptions out of MSVC's library: a message would point into a string that is gone.
        ["OS=='win'", { "defines!": ["_HAS_EXCEPTIONS=0"], "defines": ["_HAS_EXCEPTIONS=1"] }]
      ],
      "xcode_settings": {
        "CLANG_CXX_LANGUAGE_STANDARD": "c++20",
        "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
        "GCC_ENABLE_CPP_RTTI": "YES",
        "GCC_OPTIMIZATION_LEVEL": "3",
        "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
        "MACOSX_DEPLOYMENT_TARGET": "11.0",
        "OTHER_CPLUSPLUSFLAGS": ["-ffp-contract=off"]
      },
      "msvs_settings": {
        "VCCLCompilerTool": {
          "ExceptionHandling": 1,
          "FloatingPointModel": 0,
          "AdditionalOptions": ["/std:c++20", "/utf-8"]
        }
      }
    }
  ]
}
