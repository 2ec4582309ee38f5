# Stands in for the Pico SDK (raspberrypi/pico-sdk): the few names that the firmware's project uses, declared and empty.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(CMAKE_CXX_COMPILER arm-none-eabi-g++)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(STAND_IN "${CMAKE_CURRENT_LIST_DIR}")

macro(pico_sdk_init)
  foreach(NAME pico_stdlib pico_stdio_usb pico_unique_id hardware_clocks hardware_flash hardware_gpio hardware_sync
          hardware_watchdog)
    add_library(${NAME} INTERFACE)
  endforeach()
  target_compile_options(pico_stdlib INTERFACE -mcpu=cortex-m0plus -mthumb -Wall -Wextra -Werror -Wconversion)
  target_include_directories(pico_stdlib INTERFACE "${STAND_IN}/include")
  target_sources(pico_stdlib INTERFACE "${STAND_IN}/sdk.c")
  target_link_options(pico_stdlib INTERFACE -mcpu=cortex-m0plus -mthumb --specs=nosys.specs)
  target_link_libraries(pico_stdlib INTERFACE m)
endmacro()

function(pico_enable_stdio_usb TARGET ENABLED)
endfunction()

function(pico_enable_stdio_uart TARGET ENABLED)
endfunction()

function(pico_add_extra_outputs TARGET)
endfunction()
